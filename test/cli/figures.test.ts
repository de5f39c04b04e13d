import { bytes, count, duration, percent, significant, whole } from '../../ts/cli/figures.js';
import { assert, test } from '../harness.js';

test('bytes and counts keep three digits and the right unit', () => {
  assert.is(bytes(999), '999 B');
  assert.is(bytes(999_600), '1.00 MB');
  assert.is(bytes(13.5e9), '13.5 GB');
  assert.is(bytes(5e15), '5.00e+3 TB');
  assert.is(count(936_448), '936 k');
  assert.is(count(6.74e9), '6.74 B');
  assert.is(count(1234), '1234');
  assert.is(whole(936_448), '936,448');
  assert.is(percent(0.2034), '20.3 %');
});

test('durations read like a clock from a minute on', () => {
  assert.is(duration(0.421), '0.42 s');
  assert.is(duration(7.34), '7.3 s');
  assert.is(duration(125), '2:05');
  assert.is(duration(3725), '1:02:05');
  assert.is(duration(Number.NaN), '-');
});

test('significant digits survive any size', () => {
  assert.is(significant(2.1012), '2.101');
  assert.is(significant(96.04), '96.04');
  assert.is(significant(12_345.6), '12346');
  assert.is(significant(1.2e9), '1.20e+9');
  assert.is(significant(Number.POSITIVE_INFINITY), 'Infinity');
});
