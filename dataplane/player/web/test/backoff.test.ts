import { describe, expect, it } from 'vitest';
import { Backoff } from '../src/backoff';

const limits = { first: 1000, most: 8000, factor: 2 };

describe('Backoff', () => {
  it('doubles up to its limit and starts anew after a reset', () => {
    const backoff = new Backoff(limits, () => 1);
    expect([1, 2, 3, 4, 5].map(() => backoff.next())).toEqual([1000, 2000, 4000, 8000, 8000]);
    expect(backoff.attempts).toBe(5);
    backoff.reset();
    expect(backoff.next()).toBe(1000);
  });

  it('spreads a wait over the upper half of its window', () => {
    expect(new Backoff(limits, () => 0).next()).toBe(500);
    expect(new Backoff(limits, () => 0.5).next()).toBe(750);
  });

  it('never comes back before the server wants it, and spreads that too', () => {
    expect(new Backoff(limits, () => 0).next(5000)).toBe(5000);
    expect(new Backoff(limits, () => 1).next(4000)).toBe(5000);
  });
});
