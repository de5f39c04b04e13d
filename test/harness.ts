// The test framework behind one door: uvu, run as soon as the file that imports this has loaded.
import { test as register } from 'uvu';
import * as assert from 'uvu/assert';

setImmediate(() => register.run());

/** uvu prints `details` as text and falls silent when an error keeps anything else there. */
function readable(error: unknown): unknown {
  if (!(error instanceof Error) || error instanceof assert.Assertion) return error;
  const plain = new Error(error.message);
  plain.stack = `${(error as { code?: string }).code ?? ''} ${error.stack}`;
  return plain;
}

/** uvu's `test`, with its hooks. */
const test = Object.assign((name: string, body: () => unknown): void => {
  register(name, async () => {
    try {
      await body();
    } catch (error) {
      throw readable(error);
    }
  });
}, register);

/**
 * Asserts that two vectors agree: every difference at most `tolerance` times the largest expected
 * magnitude.
 */
function close(got: ArrayLike<number>, expected: ArrayLike<number>, tolerance: number): void {
  assert.is(got.length, expected.length, 'lengths differ');
  let scale = 0;
  for (let i = 0; i < expected.length; i++) scale = Math.max(scale, Math.abs(expected[i] ?? 0));
  for (let i = 0; i < expected.length; i++) {
    const difference = Math.abs((got[i] as number) - (expected[i] as number));
    assert.ok(
      difference <= tolerance * scale,
      `element ${i}: expected ${expected[i]}, got ${got[i]} (tolerance ${tolerance} of ${scale})`,
    );
  }
}

/** Asserts that `action` rejects or throws an error with this `code`; returns the error. */
async function fails(action: () => unknown, code: string): Promise<Error> {
  try {
    await action();
  } catch (error) {
    assert.is((error as { code?: string }).code, code, String(error));
    return error as Error;
  }
  throw new Error(`expected an error with code ${code}, got none`);
}

export { assert, close, fails, test };
