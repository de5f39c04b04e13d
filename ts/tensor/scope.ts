import { EspalierError } from '../common/errors.js';
import { eachInside, type Pieces } from '../common/pieces.js';

/** What a scope can free. */
export interface Disposable {
  dispose(): void;
}

/** The tensors made since a scope was entered. */
export class Scope {
  readonly #members = new Set<Disposable>();

  /** Registers a member to be disposed at the end. */
  add(member: Disposable): void {
    this.#members.add(member);
  }

  /** Takes a member out, so that it outlives the scope. */
  release(member: Disposable): boolean {
    return this.#members.delete(member);
  }

  /** Disposes all members. */
  close(): void {
    for (const member of this.#members) member.dispose();
    this.#members.clear();
  }
}

const stack: Scope[] = [];

/** The innermost open scope of this thread. */
export function currentScope(): Scope | undefined {
  return stack.at(-1);
}

function isDisposable(value: unknown): value is Disposable {
  return typeof (value as Disposable | null)?.dispose === 'function';
}

/** Every tensor reachable in a result through plain arrays, maps and objects. */
function* tensorsIn(value: unknown): Generator<Disposable> {
  if (isDisposable(value)) yield value;
  else if (Array.isArray(value) || value instanceof Map) {
    for (const item of value.values()) yield* tensorsIn(item);
  } else if (value !== null && typeof value === 'object') {
    const prototype = Object.getPrototypeOf(value);
    if (prototype !== Object.prototype && prototype !== null) return;
    for (const item of Object.values(value)) yield* tensorsIn(item);
  }
}

/**
 * Exempts a tensor from the scope it was made in: the caller disposes it.
 *
 * @returns the tensor
 */
export function keep<T extends Disposable>(tensor: T): T {
  for (const scope of stack) scope.release(tensor);
  return tensor;
}

/**
 * Runs `body` and disposes every tensor made inside but those it returns (directly, or in arrays,
 * maps and plain objects); the returned ones pass to the enclosing scope. The body is synchronous:
 * ops return at once anyway, and reads belong outside.
 *
 * @throws EspalierError `CONFIG` when `body` returns a promise
 */
export function scope<R>(body: () => R): R {
  const inner = new Scope();
  try {
    const result = within(inner, body);
    if (result instanceof Promise) {
      result.catch(() => {});
      throw new EspalierError('CONFIG', 'scope: expected a synchronous function, got a promise', {
        op: 'scope',
      });
    }
    handOver(result, inner, stack.at(-1));
    return result;
  } finally {
    inner.close();
  }
}

/**
 * As {@link scope}, of work in pieces: what others make between two of them is not its own. Given up
 * before its end, it disposes what it made.
 */
export function* scopeInPieces<R>(body: () => Pieces<R>): Pieces<R> {
  const inner = new Scope();
  try {
    const result = yield* eachInside(within(inner, body), (piece) => within(inner, piece));
    handOver(result, inner, stack.at(-1));
    return result;
  } finally {
    inner.close();
  }
}

/** Runs `body` with `inner` as the innermost scope. */
function within<R>(inner: Scope, body: () => R): R {
  stack.push(inner);
  try {
    return body();
  } finally {
    stack.pop();
  }
}

/** Passes the tensors of a result on to the scope around. */
function handOver(result: unknown, inner: Scope, outer: Scope | undefined): void {
  for (const tensor of tensorsIn(result)) {
    if (inner.release(tensor)) outer?.add(tensor);
  }
}
