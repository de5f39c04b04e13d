import { fork } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = dirname(fileURLToPath(import.meta.url));

/**
 * Runs a file of bench/ in a process of its own, so that its peak memory is its own.
 *
 * @param file relative to bench/; it calls `answerParent`
 * @param request what it is given
 * @param environment variables to add
 * @returns its answer with `peakBytes`
 */
export function runChild<R extends { peakBytes: number }>(
  file: string,
  request: object,
  environment: Record<string, string> = {},
): Promise<R> {
  return new Promise((resolve, reject) => {
    const child = fork(join(here, file), {
      execArgv: ['--import', 'tsx'],
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      env: { ...process.env, ...environment },
    });
    child.on('message', (message) => {
      const { result, error } = message as { result?: R; error?: string };
      if (result === undefined) reject(new Error(`${file}: ${error}`));
      else resolve(result);
    });
    child.on('exit', (code, signal) => reject(new Error(`${file} ended with ${code ?? signal}`)));
    child.send(request);
  });
}

/** The other side of `runChild`: answers the one request, adds the peak memory, and ends. */
export async function answerParent<Q, A extends object>(
  answer: (request: Q) => Promise<A>,
): Promise<void> {
  // A parent that was killed leaves nothing to answer.
  const orphaned = () => process.exit(1);
  process.once('disconnect', orphaned);
  const request = await new Promise<Q>((resolve) => process.once('message', resolve as () => void));
  const reply = await answer(request).then(
    (result) => ({ result: { ...result, peakBytes: peakBytes() } }),
    (error: Error) => ({ error: error.stack ?? String(error) }),
  );
  await new Promise((resolve) => process.send!(reply, resolve));
  process.off('disconnect', orphaned);
  process.disconnect();
}

/** The most memory that this process has had resident, mapped files included: VmHWM. */
export function peakBytes(): number {
  const status = readFileSync('/proc/self/status', 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) * 1024;
}
