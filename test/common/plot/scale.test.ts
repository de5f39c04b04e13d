import { makeScale } from '../../../ts/common/plot/scale.js';
import { assert, test } from '../../harness.js';

test('ticks are few, round, ascending and inside the domain', () => {
  for (const log of [false, true]) {
    for (let i = 0; i < 200; i++) {
      const low = 10 ** ((i % 9) - 4) * (1 + (i % 7) / 3);
      const high = low * 1.2 ** (1 + (i % 40));
      const { ticks, domain } = makeScale([low, high], [0, 500], { log });
      assert.ok(ticks.length <= 12, `${low} to ${high}: ${ticks}`);
      ticks.forEach((tick, index) => {
        assert.ok(tick >= domain[0] * (1 - 1e-9) && tick <= domain[1] * (1 + 1e-9));
        if (index > 0) assert.ok(tick > (ticks[index - 1] as number));
        assert.is(Number(tick.toPrecision(3)), tick);
      });
      if (high > 2.2 * low) assert.ok(ticks.length >= 2, `${low} to ${high}: ${ticks}`);
    }
  }
});

test('the ends of the domain land on the ends of the range', () => {
  for (const log of [false, true]) {
    const scale = makeScale([1, 1000], [10, 310], { log });
    assert.ok(Math.abs(scale.at(scale.domain[0]) - 10) < 1e-9);
    assert.ok(Math.abs(scale.at(scale.domain[1]) - 310) < 1e-9);
  }
});

test('a domain of no length is widened, a logarithm of nothing refused', () => {
  for (const value of [0, 5, -3])
    assert.ok(Number.isFinite(makeScale([value, value], [0, 9]).at(value)));
  assert.ok(Number.isFinite(makeScale([5, 5], [0, 9], { log: true }).at(5)));
  assert.throws(() => makeScale([0, 5], [0, 9], { log: true }), /positive/);
});
