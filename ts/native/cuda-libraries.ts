import { native } from './addon.js';

let used: string | undefined;

/** Remembers the CUDA library whose devices this process computes on. */
export function noteCudaInUse(backend: string): void {
  used = backend;
}

/**
 * Which of NVIDIA's libraries a CUDA library uses, from where, and why it does without others; one
 * sentence each. Opens them, which can take a second, and makes no context.
 *
 * @param backend path of the CUDA library; default: the one that this process computes with
 * @returns nothing without a library
 */
export function cudaLibraries(backend: string | undefined = used): readonly string[] {
  return backend === undefined ? [] : native().describeCuda(backend).split('\n');
}
