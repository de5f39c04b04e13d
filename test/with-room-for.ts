import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { native } from '../ts/native/addon.js';

/** Runs `work` with at most `bytes` of address space more than the process has now (Linux). */
export async function withRoomFor<T>(bytes: number, work: () => Promise<T>): Promise<T> {
  native().setCacheLimit(0);
  const size = /VmSize:\s*(\d+) kB/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const limit = (soft: string) =>
    execFileSync('prlimit', ['--pid', String(process.pid), `--as=${soft}:unlimited`], {
      // With pipes Node itself would need memory that may not be there.
      stdio: 'ignore',
    });
  limit(String(Number(size) * 1024 + bytes));
  try {
    return await work();
  } finally {
    limit('unlimited');
  }
}
