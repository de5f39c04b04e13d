import type { Screen } from '../../ts/cli/screen.js';

/** A screen that keeps what is written. */
export class FakeScreen implements Screen {
  readonly interactive: boolean;
  readonly colour = false;
  readonly columns = 80;
  text = '';

  constructor({ interactive = false }: { interactive?: boolean } = {}) {
    this.interactive = interactive;
  }

  write(text: string): void {
    this.text += text;
  }

  /** What a terminal would show at the end: carriage returns go back, `\x1b[2K` clears the line. */
  shown(): string {
    return this.text
      .split('\n')
      .map((line) => line.split('\r\x1b[2K').at(-1))
      .join('\n');
  }
}
