// Joins a stream by WHEP with werift, a WebRTC stack of its own, and prints what came: node play.mjs HOST:PORT HOSTNAME PATH FRAMES.
// It ends with 0 when that many frames have come, told by their markers, with 1 when they have not after a while.
import http from 'node:http'
import { RTCPeerConnection, useH264, useOPUS } from 'werift'

const [address, hostname, path, frames] = process.argv.slice(2)
const patience = 60_000 // ms

const seen = { packets: 0, frames: 0, bytes: 0, gaps: 0, audio: 0, state: 'new' }
const finish = (code, error) => {
  console.log(JSON.stringify({ ...seen, error }))
  process.exit(code)
}
setTimeout(() => finish(1, `no ${frames} frames came`), patience)

const pc = new RTCPeerConnection({
  codecs: { audio: [useOPUS()], video: [useH264()] },
  iceUseIpv6: false,
  iceAdditionalHostAddresses: ['127.0.0.1'],
})
pc.connectionStateChange.subscribe((state) => {
  seen.state = state
  if (state === 'failed') finish(1, 'the connection failed')
})
let last
pc.onTrack.subscribe((track) => {
  track.onReceiveRtp.subscribe((packet) => {
    if (track.kind !== 'video') {
      seen.audio++
      return
    }
    const { sequenceNumber, marker } = packet.header
    if (last !== undefined && sequenceNumber !== ((last + 1) & 0xffff)) seen.gaps++
    last = sequenceNumber
    seen.packets++
    seen.bytes += packet.payload.length
    if (marker) seen.frames++
    if (seen.frames === Number(frames)) finish(0)
  })
})
pc.addTransceiver('audio', { direction: 'recvonly' })
pc.addTransceiver('video', { direction: 'recvonly' })
await pc.setLocalDescription(await pc.createOffer())

// The Host header names the play domain, so the request is made by hand.
const answer = await new Promise((resolve, reject) => {
  const [host, port] = address.split(':')
  const request = http.request({ host, port, path, method: 'POST', headers: { Host: hostname, 'Content-Type': 'application/sdp' } }, (response) => {
    let body = ''
    response.on('data', (part) => (body += part))
    response.on('end', () => (response.statusCode === 201 ? resolve(body) : reject(new Error(`${response.statusCode} ${body}`))))
  })
  request.on('error', reject)
  request.end(pc.localDescription.sdp)
}).catch((error) => finish(1, String(error)))
await pc.setRemoteDescription({ type: 'answer', sdp: answer })
