import { autoOr, byteCount, files, integer, number } from '../../ts/cli/values.js';
import { assert, test } from '../harness.js';

test('sizes carry a unit, and what is no size is refused', () => {
  assert.is(byteCount('2GB'), 2e9);
  assert.is(byteCount('512MiB'), 512 * 1024 ** 2);
  assert.is(byteCount('1000'), 1000);
  for (const text of ['', '2XB', '-1', '0', 'GB', '2 3', '10ib', '1e9']) {
    assert.throws(() => byteCount(text), /size such as/, text);
  }
});

test('numbers out of range or out of sense are refused', () => {
  const ratio = number(0, 1, { open: true });
  assert.is(ratio('0.2'), 0.2);
  for (const text of ['0', '1', '-1', 'NaN', '', ' ', 'x', 'Infinity']) {
    assert.throws(() => ratio(text), /between 0 and 1/, text);
  }
  const samples = integer(1);
  assert.is(samples('128'), 128);
  for (const text of ['0', '1.5', 'NaN', '', '9007199254740993', '0x']) {
    assert.throws(() => samples(text), /whole number/, text);
  }
});

test('auto stands beside a number', () => {
  const share = autoOr(number(0, 1));
  assert.is(share('auto'), 'auto');
  assert.is(share('0'), 0);
  assert.throws(() => share('2'), /or auto/);
});

test('files are separated by commas and options add up', () => {
  assert.equal(files('a,b'), ['a', 'b']);
  assert.equal(files('c', ['a', 'b']), ['a', 'b', 'c']);
  assert.throws(() => files(','), /file name/);
});
