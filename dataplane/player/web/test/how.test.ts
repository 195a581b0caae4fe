import { describe, expect, it } from 'vitest';
import { ways } from '../src/how';

describe('ways', () => {
  it('lists the ways best first, with the URLs of the files on the same port', () => {
    expect(ways('RTS FLV,HLS@main.example.com', 'https://rts.example.com:8443/live/cam?auth_key=1-2-3-4')).toEqual([
      { protocol: 'RTS', url: 'https://rts.example.com:8443/live/cam?auth_key=1-2-3-4' },
      { protocol: 'FLV', url: 'https://main.example.com:8443/live/cam.flv?auth_key=1-2-3-4&rts_degrade=on' },
      { protocol: 'LL-HLS', url: 'https://main.example.com:8443/live/cam.m3u8?auth_key=1-2-3-4&rts_degrade=on' },
    ]);
  });

  it('says once that the signature is that of the path without suffix', () => {
    const [flv] = ways('FLV@play.example.com', 'http://play.example.com/live/cam?rts_degrade=on');
    expect(flv?.url).toBe('http://play.example.com/live/cam.flv?rts_degrade=on');
    expect(ways('HLS@play.example.com', 'http://play.example.com/1700000000/abc/live/cam')[0]?.url).toBe(
      'http://play.example.com/1700000000/abc/live/cam.m3u8?rts_degrade=on',
    );
  });

  it('keeps escaped names as they are', () => {
    expect(ways('FLV@play.example.com', 'http://play.example.com/live/%E4%BD%A0%20a')[0]?.url).toContain('/live/%E4%BD%A0%20a.flv?');
  });

  it('passes over what it does not know', () => {
    expect(ways('', 'http://play.example.com/live/cam')).toEqual([]);
    expect(ways('%how%', 'http://play.example.com/live/cam')).toEqual([]);
    expect(ways('RTMP,DASH@play.example.com', 'http://play.example.com/live/cam')).toEqual([]);
    expect(ways('RTS', 'http://rts.example.com/live/cam')).toHaveLength(1);
  });
});
