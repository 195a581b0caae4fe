package sdp

// Offers of players, shortened to what differs: order, payload types and attributes are those that the players send.
const (
	// Chromium, as the official SDKs send it: NACK for Opus and sps-pps-idr-in-keyframe appended, and SDK 2.0.0's data
	// channel.
	chromiumOffer = "v=0\r\no=- 4611731400430051336 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n" +
		"a=group:BUNDLE 0 1 2\r\na=extmap-allow-mixed\r\na=msid-semantic: WMS\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r\nc=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 0.0.0.0\r\n" +
		"a=ice-ufrag:Zx3q\r\na=ice-pwd:1GDjCnLHZpSCxR4nK2dHdZJe\r\na=ice-options:trickle\r\n" + fingerprintLine +
		"a=setup:actpass\r\na=mid:0\r\n" +
		"a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\na=extmap:2 " +
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n" +
		"a=extmap:3 http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01\r\na=extmap:4 " +
		"urn:ietf:params:rtp-hdrext:sdes:mid\r\n" +
		"a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n" +
		"a=rtpmap:111 opus/48000/2\r\na=rtcp-fb:111 transport-cc\r\na=rtcp-fb:111 nack\r\na=fmtp:111 " +
		"minptime=10;useinbandfec=1\r\n" +
		"a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\na=rtpmap:9 G722/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 " +
		"PCMA/8000\r\n" +
		"a=rtpmap:13 CN/8000\r\na=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96 97 102 103 104 105 106 107 108 109 127 125 39 40 45 46 98 99 116 117 41 42 112\r\n" +
		"c=IN IP4 0.0.0.0\r\na=rtcp:9 IN IP4 " +
		"0.0.0.0\r\na=ice-ufrag:Zx3q\r\na=ice-pwd:1GDjCnLHZpSCxR4nK2dHdZJe\r\na=ice-options:trickle\r\n" + fingerprintLine +
		"a=setup:actpass\r\na=mid:1\r\n" +
		"a=extmap:14 urn:ietf:params:rtp-hdrext:toffset\r\na=extmap:2 " +
		"http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\n" +
		"a=extmap:13 urn:3gpp:video-orientation\r\na=extmap:5 " + ExtPlayoutDelay + "\r\na=extmap:7 " + ExtCaptureTime +
		"\r\n" +
		"a=recvonly\r\na=rtcp-mux\r\na=rtcp-rsize\r\n" +
		"a=rtpmap:96 VP8/90000\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:96 nack pli\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n" +
		"a=rtpmap:102 H264/90000\r\na=rtcp-fb:102 goog-remb\r\na=rtcp-fb:102 transport-cc\r\na=rtcp-fb:102 ccm " +
		"fir\r\na=rtcp-fb:102 nack\r\na=rtcp-fb:102 nack pli\r\n" +
		"a=fmtp:102 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42001f;sps-pps-idr-in-keyframe=1\r\na=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n" +
		"a=rtpmap:104 H264/90000\r\na=rtcp-fb:104 nack\r\na=fmtp:104 " +
		"level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42001f;sps-pps-idr-in-keyframe=1\r\n" +
		"a=rtpmap:105 rtx/90000\r\na=fmtp:105 apt=104\r\n" +
		"a=rtpmap:106 H264/90000\r\na=rtcp-fb:106 nack\r\na=fmtp:106 " +
		"level-asymmetry-allowed=1;packetization-mode=0;profile-level-id=42e01f;sps-pps-idr-in-keyframe=1\r\n" +
		"a=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=106\r\n" +
		"a=rtpmap:108 H264/90000\r\na=rtcp-fb:108 nack\r\na=rtcp-fb:108 nack pli\r\na=fmtp:108 " +
		"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f;sps-pps-idr-in-keyframe=1\r\n" +
		"a=rtpmap:109 rtx/90000\r\na=fmtp:109 apt=108\r\n" +
		"a=rtpmap:116 H264/90000\r\na=rtcp-fb:116 nack\r\na=fmtp:116 " +
		"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=4d001f;sps-pps-idr-in-keyframe=1\r\n" +
		"a=rtpmap:117 rtx/90000\r\na=fmtp:117 apt=116\r\n" +
		"a=rtpmap:41 H264/90000\r\na=rtcp-fb:41 nack\r\na=fmtp:41 " +
		"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=f4001f;sps-pps-idr-in-keyframe=1\r\n" +
		"a=rtpmap:42 rtx/90000\r\na=fmtp:42 apt=41\r\n" +
		"a=rtpmap:45 AV1/90000\r\na=rtpmap:46 rtx/90000\r\na=fmtp:46 apt=45\r\na=rtpmap:98 VP9/90000\r\na=rtpmap:99 " +
		"rtx/90000\r\na=fmtp:99 apt=98\r\na=rtpmap:112 red/90000\r\n" +
		"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 " +
		"0.0.0.0\r\na=ice-ufrag:Zx3q\r\na=ice-pwd:1GDjCnLHZpSCxR4nK2dHdZJe\r\n" + fingerprintLine +
		"a=setup:actpass\r\na=mid:2\r\na=sctp-port:5000\r\na=max-message-size:262144\r\n"

	// Firefox: transport attributes of the session, H.264 with other numbers, video first, extension ids with a direction.
	firefoxOffer = "v=0\r\no=mozilla...THIS_IS_SDPARTA-99.0 2345 0 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=sendrecv\r\n" +
		fingerprintLine +
		"a=group:BUNDLE video0 audio1\r\na=ice-options:trickle\r\na=msid-semantic:WMS *\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 120 124 126 127 97 98\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\n" +
		"a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time\r\na=extmap:7/recvonly " + ExtPlayoutDelay +
		"\r\n" +
		"a=fmtp:126 profile-level-id=42e01f;level-asymmetry-allowed=1;packetization-mode=1\r\na=fmtp:97 " +
		"profile-level-id=42e01f;level-asymmetry-allowed=1\r\n" +
		"a=fmtp:120 max-fs=12288;max-fr=60\r\na=fmtp:124 apt=120\r\na=fmtp:127 apt=126\r\na=fmtp:98 apt=97\r\n" +
		"a=ice-pwd:c45aa9b4e6c1ae0ed2bd2ffa5b6e3b58\r\na=ice-ufrag:9d4e9a4c\r\na=mid:video0\r\na=rtcp-fb:126 " +
		"nack\r\na=rtcp-fb:126 nack pli\r\na=rtcp-fb:126 ccm fir\r\n" +
		"a=rtcp-mux\r\na=rtpmap:120 VP8/90000\r\na=rtpmap:124 rtx/90000\r\na=rtpmap:126 H264/90000\r\na=rtpmap:127 " +
		"rtx/90000\r\na=rtpmap:97 H264/90000\r\na=rtpmap:98 rtx/90000\r\n" +
		"a=setup:actpass\r\na=ssrc:1193 cname:{5b}\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 109 9 0 8 101\r\nc=IN IP4 0.0.0.0\r\na=recvonly\r\na=fmtp:109 " +
		"maxplaybackrate=48000;stereo=1;useinbandfec=1\r\n" +
		"a=ice-pwd:c45aa9b4e6c1ae0ed2bd2ffa5b6e3b58\r\na=ice-ufrag:9d4e9a4c\r\na=mid:audio1\r\na=rtcp-mux\r\na=rtpmap:109 " +
		"opus/48000/2\r\na=rtpmap:9 G722/8000/1\r\n" +
		"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000/1\r\na=setup:actpass\r\n"

	// Safari: High profile first, H.265 offered, upper-case digits in profile-level-id.
	safariOffer = "v=0\r\no=- 5 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0 1\r\n" +
		"m=video 9 UDP/TLS/RTP/SAVPF 96 97 98 99 100 101\r\nc=IN IP4 " +
		"0.0.0.0\r\na=ice-ufrag:Saf1\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n" + fingerprintLine +
		"a=setup:actpass\r\na=mid:0\r\na=extmap:5 " + ExtPlayoutDelay + "\r\na=recvonly\r\na=rtcp-mux\r\n" +
		"a=rtpmap:96 H264/90000\r\na=rtcp-fb:96 nack\r\na=fmtp:96 " +
		"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=640C1F\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 " +
		"apt=96\r\n" +
		"a=rtpmap:98 H264/90000\r\na=rtcp-fb:98 nack\r\na=fmtp:98 " +
		"level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42E01F\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 " +
		"apt=98\r\n" +
		"a=rtpmap:100 H265/90000\r\na=rtcp-fb:* nack\r\na=rtpmap:101 rtx/90000\r\na=fmtp:101 apt=100\r\n" +
		"m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=ice-ufrag:Saf1\r\na=ice-pwd:aaaaaaaaaaaaaaaaaaaaaaaa\r\n" +
		fingerprintLine +
		"a=setup:actpass\r\na=mid:1\r\na=recvonly\r\na=rtcp-mux\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 " +
		"minptime=10;useinbandfec=1\r\n"

	fingerprintLine = "a=fingerprint:sha-256 " +
		"1B:EA:BF:33:B8:11:26:6D:91:AD:1B:A0:16:FD:5D:60:59:33:F7:46:A3:BA:99:2A:1D:04:99:A6:F2:C6:2D:43\r\n"
)
