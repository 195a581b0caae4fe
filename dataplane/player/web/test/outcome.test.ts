import { describe, expect, it } from 'vitest';
import { errorBody, judge, retryAfter } from '../src/outcome';

describe('judge', () => {
  it.each([
    [201, 'playing'],
    [200, 'playing'],
    [403, 'denied'],
    [401, 'denied'],
    [404, 'waiting'],
    [409, 'waiting'],
    [503, 'waiting'],
    [429, 'waiting'],
    [406, 'unplayable'],
    [415, 'unplayable'],
    [422, 'unplayable'],
  ])('takes status %i as %s', (status, kind) => {
    expect(judge(status, {}, 0).kind).toBe(kind);
  });

  it('shows what the server says and keeps the time it asks for', () => {
    const message = 'Source has B-frames, play cam_smooth instead';
    expect(judge(406, { message }, 0)).toMatchObject({ kind: 'unplayable', detail: message });
    expect(judge(404, { message: 'No publisher' }, 2500)).toMatchObject({ detail: 'No publisher', retryAfter: 2500 });
  });

  it('always has words for the viewer', () => {
    for (const status of [403, 404, 500, 406, 418]) {
      const outcome = judge(status, {}, 0);
      expect(outcome.kind === 'playing' ? '' : outcome.title + outcome.detail).toMatch(/\w{3}/);
    }
  });
});

describe('retryAfter', () => {
  const now = Date.parse('Fri, 31 Dec 1999 23:59:50 GMT');

  it.each([
    [null, 0],
    ['', 0],
    ['3', 3000],
    [' 3 ', 3000],
    ['-3', 0],
    ['soon', 0],
    ['99999999', 60_000],
    ['Fri, 31 Dec 1999 23:59:55 GMT', 5000],
    ['Fri, 31 Dec 1999 23:59:00 GMT', 0],
  ])('reads %j as %i ms', (header, ms) => {
    expect(retryAfter(header, now)).toBe(ms);
  });
});

describe('errorBody', () => {
  it('reads the JSON of the server', () => {
    const body = { code: 404, reason: 'NotLive', message: 'No such stream', extra: 1 };
    expect(errorBody('application/json; charset=utf-8', JSON.stringify(body))).toEqual({ code: 404, reason: 'NotLive', message: 'No such stream' });
  });

  it('takes the first line of plain text', () => {
    expect(errorBody('text/plain', 'Not here\nstack')).toEqual({ message: 'Not here' });
  });

  it.each([
    ['application/json', '{"message":'],
    ['application/json', 'null'],
    ['application/json', '{"message":{"a":1}}'],
    ['text/html', '<h1>Bad gateway</h1>'],
    [null, 'anything'],
  ])('shows nothing of a %s body it does not understand', (type, text) => {
    expect(errorBody(type, text).message).toBeUndefined();
  });

  it('bounds what it shows', () => {
    expect(errorBody('text/plain', 'x'.repeat(10_000)).message).toHaveLength(500);
  });
});
