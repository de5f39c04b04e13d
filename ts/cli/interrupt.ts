import { EXIT } from './exit-code.js';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** npm and npx pass Ctrl-C on to a child that has received it already; that is one interrupt. */
const SAME_PRESS_MS = 150;

/** Turns the first interrupt into an abort and lets the second end the process at once. */
export class Interrupt {
  readonly #controller = new AbortController();
  readonly #handler: () => void;
  #first = 0;

  /** `onFirst` is called when the work has been asked to stop. */
  constructor(onFirst: () => void) {
    this.#handler = () => {
      if (!this.fired) {
        this.#first = performance.now();
        this.#controller.abort(new Error('interrupted'));
        onFirst();
      } else if (performance.now() - this.#first > SAME_PRESS_MS) {
        process.exit(EXIT.interrupted);
      }
    };
    for (const signal of SIGNALS) process.on(signal, this.#handler);
  }

  /** Fires at the first interrupt. */
  get signal(): AbortSignal {
    return this.#controller.signal;
  }

  /** True after the first interrupt. */
  get fired(): boolean {
    return this.signal.aborted;
  }

  /** Gives the signals back to Node. */
  close(): void {
    for (const signal of SIGNALS) process.off(signal, this.#handler);
  }
}
