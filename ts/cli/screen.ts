import { environment } from '../common/environment.js';

/** Where text goes, and what can be done there. */
export interface Screen {
  /** Writes without adding a line break; drops the text once the reader is gone. */
  write(text: string): void;
  /** Lines may be redrawn: a terminal, and no CI. */
  readonly interactive: boolean;
  /** Colours are welcome: a terminal without `NO_COLOR`. */
  readonly colour: boolean;
  /** Width in characters. */
  readonly columns: number;
}

/** The part of a stream that a screen needs. */
export type OutputStream = NodeJS.WritableStream & { isTTY?: boolean; columns?: number };

/**
 * The screen on a standard stream. A reader that goes away (`| head`) is no failure: the work goes
 * on, its output is dropped.
 */
export function screenOn(stream: OutputStream, variables: NodeJS.ProcessEnv = process.env): Screen {
  const { ci, noColor } = environment(variables);
  const terminal = stream.isTTY === true && variables.TERM !== 'dumb';
  let gone = false;
  stream.on('error', () => {
    gone = true;
  });
  return {
    write(text) {
      if (!gone) stream.write(text);
    },
    interactive: terminal && !ci,
    colour: terminal && !noColor,
    get columns() {
      return stream.columns ?? 80;
    },
  };
}
