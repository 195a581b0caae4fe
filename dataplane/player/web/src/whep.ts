import { errorBody, judge, retryAfter, type Outcome } from './outcome';
import { preferStereo } from './sdp';

const postTimeout = 10_000;

/** A peer connection that the server has answered. */
export interface Session {
  pc: RTCPeerConnection;
  stream: MediaStream;
  /** Whether the answer has video; a stream may be sound only. */
  picture: boolean;
  /** The session's own URL, for DELETE; empty when the server named none. */
  location: string;
  etag: string;
  /** What the server wants the viewer to know about the source; empty for nothing. */
  notice: string;
  /** When the offer was sent, by performance.now(). */
  offeredAt: number;
}

/** What became of an offer: a session, or the reason why there is none. */
export type Joined = { session: Session; outcome: { kind: 'playing' } } | { session: null; outcome: Exclude<Outcome, { kind: 'playing' }> };

/** Sends a WHEP offer to the play URL (draft-ietf-wish-whep-03, section 4). Rejects when the network fails or the signal aborts. */
export async function join(url: string, signal: AbortSignal): Promise<Joined> {
  const pc = new RTCPeerConnection({ bundlePolicy: 'max-bundle' });
  const stream = new MediaStream();
  try {
    for (const kind of ['video', 'audio'] as const) {
      const transceiver = pc.addTransceiver(kind, { direction: 'recvonly' });
      askForCaptureTime(transceiver);
      playAtOnce(transceiver.receiver);
    }
    pc.addEventListener('track', (event) => stream.addTrack(event.track));

    const offer = await pc.createOffer();
    await pc.setLocalDescription({ type: 'offer', sdp: preferStereo(offer.sdp ?? '') });

    // The server knows its own candidates and learns ours from the first check, so nothing is gathered before the offer goes out.
    const offeredAt = performance.now();
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'Content-Type': 'application/sdp', Accept: 'application/sdp, application/json' },
      body: pc.localDescription?.sdp ?? '',
      cache: 'no-store',
      signal: AbortSignal.any([signal, AbortSignal.timeout(postTimeout)]),
    });
    const text = await response.text();
    const contentType = response.headers.get('Content-Type');
    const outcome = judge(
      response.status,
      response.ok ? {} : errorBody(contentType, text),
      retryAfter(response.headers.get('Retry-After'), Date.now()),
    );
    if (outcome.kind !== 'playing') {
      pc.close();
      return { session: null, outcome };
    }
    const location = response.headers.get('Location');
    const session: Session = {
      pc,
      stream,
      picture: false,
      location: location ? new URL(location, response.url || url).href : '',
      etag: response.headers.get('ETag') ?? '',
      notice: response.headers.get('X-Millrace-Notice') ?? '',
      offeredAt,
    };
    try {
      await pc.setRemoteDescription({ type: 'answer', sdp: text });
      session.picture = pc.getTransceivers().some((t) => t.receiver.track.kind === 'video' && t.currentDirection === 'recvonly');
    } catch (error) {
      leave(session);
      throw error;
    }
    return { session, outcome };
  } catch (error) {
    pc.close();
    throw error;
  }
}

/** Ends a session. The DELETE outlives the page, so that the server need not wait for a time-out. */
export function leave(session: Session): void {
  session.pc.close();
  if (!session.location) return;
  void fetch(session.location, { method: 'DELETE', keepalive: true }).catch(() => {
    // The server ends the session by itself when the connection has gone.
  });
}

/**
 * Calls back once when the server or the network has ended the connection. A DTLS close_notify shows on the transport only: the peer
 * connection still says "connected" then.
 */
export function onLost(session: Session, patience: number, lost: (why: string) => void): void {
  const { pc } = session;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let told = false;
  const tell = (why: string) => {
    clearTimeout(timer);
    if (!told) {
      told = true;
      lost(why);
    }
  };
  const watch = () => {
    clearTimeout(timer);
    const dtls = pc.getReceivers().map((r) => r.transport?.state);
    if (dtls.includes('closed')) tell('ended');
    else if (pc.connectionState === 'failed' || dtls.includes('failed')) tell('failed');
    else if (pc.connectionState === 'closed') tell('closed');
    else if (pc.connectionState === 'disconnected') timer = setTimeout(() => tell('disconnected'), patience);
  };
  pc.addEventListener('connectionstatechange', watch);
  for (const transport of new Set(pc.getReceivers().map((r) => r.transport))) transport?.addEventListener('statechange', watch);
}

function playAtOnce(receiver: RTCRtpReceiver): void {
  // The older name of the same wish, in seconds, for browsers that do not know jitterBufferTarget.
  if ('jitterBufferTarget' in receiver) receiver.jitterBufferTarget = 0;
  else if ('playoutDelayHint' in receiver) (receiver as { playoutDelayHint: number }).playoutDelayHint = 0;
}

const captureTimeExtension = 'http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time';

/** A transceiver of a browser that lets pages choose header extensions (WebRTC Extensions, section 4). */
interface Negotiable extends RTCRtpTransceiver {
  getHeaderExtensionsToNegotiate(): { uri: string; direction: string }[];
  setHeaderExtensionsToNegotiate(extensions: { uri: string; direction: string }[]): void;
}

/** Asks the server to write into frames when they came to it. Browsers know the extension and do not ask for it by themselves. */
function askForCaptureTime(transceiver: RTCRtpTransceiver): void {
  if (!('setHeaderExtensionsToNegotiate' in transceiver)) return;
  const negotiable = transceiver as Negotiable;
  const extensions = negotiable.getHeaderExtensionsToNegotiate();
  for (const extension of extensions) if (extension.uri === captureTimeExtension) extension.direction = 'recvonly';
  negotiable.setHeaderExtensionsToNegotiate(extensions);
}
