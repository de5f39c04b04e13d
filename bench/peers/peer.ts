import { type ChildProcess, spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { pythonPath } from './python-path.js';

interface Reply {
  id: number;
  result?: unknown;
  error?: string;
}

/** One Python process with torch and transformers that stays alive and answers line by line. */
export class Peer {
  readonly #child: ChildProcess;
  readonly #waiting = new Map<number, { resolve(value: unknown): void; reject(e: Error): void }>();
  #next = 0;
  /** Versions of Python, torch, transformers, numpy and scipy. */
  versions = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => {
      const { id, result, error } = JSON.parse(line) as Reply;
      const waiting = this.#waiting.get(id);
      this.#waiting.delete(id);
      if (error === undefined) waiting?.resolve(result);
      else waiting?.reject(new Error(`peer: ${error}`));
    });
    child.on('exit', (code, signal) => {
      for (const { reject } of this.#waiting.values()) {
        reject(new Error(`the peer ended with ${code ?? signal}`));
      }
    });
  }

  /**
   * Starts the peer with as many threads as ours, computing on `device` (`cpu` or `cuda`); `undefined`
   * when it is not set up.
   */
  static async start(threads: number, device = 'cpu'): Promise<Peer | undefined> {
    const python = pythonPath();
    if (python === undefined) return undefined;
    const count = String(threads);
    const child = spawn(python, [join(dirname(fileURLToPath(import.meta.url)), 'peer.py')], {
      stdio: ['pipe', 'pipe', 'inherit'],
      env: {
        ...process.env,
        OMP_NUM_THREADS: count,
        OPENBLAS_NUM_THREADS: count,
        MKL_NUM_THREADS: count,
        HF_HUB_OFFLINE: '1',
        TOKENIZERS_PARALLELISM: 'false',
      },
    });
    const peer = new Peer(child);
    peer.versions = await peer.call<string>('start', { threads, device });
    return peer;
  }

  /** Calls a function of the peer by name; rejects with its message when it raises. */
  call<R>(method: string, parameters: Record<string, unknown> = {}): Promise<R> {
    const id = this.#next++;
    return new Promise<R>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#child.stdin!.write(`${JSON.stringify({ id, method, parameters })}\n`);
    });
  }

  /** Ends the process. */
  close(): void {
    this.#child.stdin!.end();
  }
}
