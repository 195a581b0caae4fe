import { expect, it } from 'vitest';
import { preferStereo } from '../src/sdp';

const offer = [
  'm=audio 9 UDP/TLS/RTP/SAVPF 111 63',
  'a=rtpmap:111 opus/48000/2',
  'a=fmtp:111 minptime=10;useinbandfec=1',
  'a=rtpmap:63 red/48000/2',
  'a=fmtp:63 111/111',
  '',
].join('\r\n');

it('adds stereo to Opus only', () => {
  expect(preferStereo(offer)).toBe(offer.replace('useinbandfec=1', 'useinbandfec=1;stereo=1'));
});

it('leaves an offer alone that has stereo already', () => {
  const once = preferStereo(offer);
  expect(preferStereo(once)).toBe(once);
});
