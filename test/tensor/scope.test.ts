import { atOnce, inTurns, type Pieces } from '../../ts/common/pieces.js';
import { native } from '../../ts/native/addon.js';
import { scope, scopeInPieces } from '../../ts/tensor/scope.js';
import { Tensor } from '../../ts/tensor/tensor.js';
import { assert, test } from '../harness.js';

/** Makes a tensor in each of three pieces and returns the last, or all when asked to. */
function* making(made: Tensor[], all = false): Pieces<Tensor | Tensor[]> {
  for (let i = 0; i < 3; i++) {
    made.push(Tensor.from([i]));
    yield;
  }
  return all ? made : (made[2] as Tensor);
}

test('a scope in pieces keeps what it returns, and what others make in between is not its own', async () => {
  const { tensors } = native().memory();
  const mine: Tensor[] = [];
  const others: Tensor[] = [];
  const pieces = scopeInPieces(() => making(mine));
  for (let piece = pieces.next(); !piece.done; piece = pieces.next()) {
    others.push(Tensor.from([7]));
    assert.not.ok(mine.some((tensor) => tensor.disposed));
  }
  assert.equal(
    mine.map((tensor) => tensor.disposed),
    [true, true, false],
  );
  assert.not.ok(others.some((tensor) => tensor.disposed));
  for (const tensor of [...mine, ...others]) tensor.dispose();
  assert.is(native().memory().tensors, tensors);
});

test('scopes in pieces may overlap and be nested; results pass to the scope around', async () => {
  const first: Tensor[] = [];
  const second: Tensor[] = [];
  const nested = function* (): Pieces<Tensor> {
    const results = (yield* scopeInPieces(() => making(first, true))) as Tensor[];
    return results[1] as Tensor;
  };
  const [one] = await Promise.all([
    inTurns(scopeInPieces(nested)),
    inTurns(scopeInPieces(() => making(second))),
  ]);
  assert.is(one, first[1]);
  assert.equal(
    first.map((tensor) => tensor.disposed),
    [true, false, true],
  );
  assert.equal(
    second.map((tensor) => tensor.disposed),
    [true, true, false],
  );
  scope(() => {
    atOnce(scopeInPieces(() => making(second)));
  });
  assert.ok(second.slice(3).every((tensor) => tensor.disposed));
  for (const tensor of [...first, ...second]) tensor.dispose();
});

test('a scope that is given up disposes what it made', () => {
  const { tensors } = native().memory();
  const made: Tensor[] = [];
  const pieces = scopeInPieces(() => scopeInPieces(() => making(made)));
  pieces.next();
  pieces.next();
  pieces.return([]);
  assert.is(made.length, 2);
  assert.ok(made.every((tensor) => tensor.disposed));
  assert.is(native().memory().tensors, tensors);
});
