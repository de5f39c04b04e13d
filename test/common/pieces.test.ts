import { atOnce, inTurns, type Pieces } from '../../ts/common/pieces.js';
import { assert, fails, test } from '../harness.js';

/** Longer than a turn may take. */
function busy(): void {
  const end = performance.now() + 10;
  while (performance.now() < end);
}

/** Counts what it did, in pieces of a turn each; says when it is over, whatever the reason. */
function* counting(pieces: number, log: string[]): Pieces<number> {
  try {
    for (let i = 0; i < pieces; i++) {
      busy();
      log.push(`piece ${i}`);
      yield;
    }
    return pieces;
  } finally {
    log.push('over');
  }
}

test('work in pieces gives its result at once or in turns, which others have in between', async () => {
  const log: string[] = [];
  assert.is(atOnce(counting(3, log)), 3);
  assert.equal(log, ['piece 0', 'piece 1', 'piece 2', 'over']);
  log.length = 0;
  let turns = 0;
  const other = () => {
    turns++;
    if (!log.includes('over')) setImmediate(other);
  };
  setImmediate(other);
  assert.is(await inTurns(counting(3, log)), 3);
  assert.equal(log, ['piece 0', 'piece 1', 'piece 2', 'over']);
  assert.ok(turns >= 3, `others had ${turns} turns`);
});

test('an abort ends work between two pieces and lets it clean up', async () => {
  const log: string[] = [];
  const controller = new AbortController();
  setImmediate(() => controller.abort());
  await fails(() => inTurns(counting(100, log), controller.signal, 'counting'), 'ABORTED');
  assert.ok(log.length < 20, log.join());
  assert.is(log.at(-1), 'over');
});

test('what a piece throws is thrown on, once the work has cleaned up', async () => {
  const log: string[] = [];
  const failing = function* (): Pieces<number> {
    yield* counting(1, log);
    throw new RangeError('no more');
  };
  let message = '';
  await inTurns(failing()).catch((error: Error) => {
    message = error.message;
  });
  assert.is(message, 'no more');
  assert.equal(log, ['piece 0', 'over']);
});
