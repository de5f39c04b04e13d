import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

/** What ran, and how much more memory of the card was in use at most than before. */
export interface CardMemory<R> {
  result: R;
  /** Contexts of processes and libraries' own memory included; undefined where nvidia-smi is missing. */
  bytes: number | undefined;
}

/** Runs `body` while nvidia-smi looks at the memory in use on the first card fifty times a second. */
export async function watchCardMemory<R>(body: () => Promise<R>): Promise<CardMemory<R>> {
  const query = ['--id=0', '--query-gpu=memory.used', '--format=csv,noheader,nounits'];
  const monitor = spawn('nvidia-smi', [...query, '--loop-ms=20'], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let before: number | undefined;
  let most = 0;
  const first = new Promise<void>((resolve) => {
    for (const event of ['error', 'close']) monitor.once(event, () => resolve());
    createInterface({ input: monitor.stdout }).on('line', (line) => {
      const used = Number(line) * 2 ** 20;
      if (!Number.isFinite(used)) return;
      before ??= used;
      most = Math.max(most, used);
      resolve();
    });
  });
  await first;
  try {
    const result = await body();
    return { result, bytes: before === undefined ? undefined : most - before };
  } finally {
    monitor.kill();
  }
}
