import type { ProgressEvent } from '../common/events.js';
import { bytes, duration, significant, whole } from './figures.js';
import { Meter, type Pace } from './meter.js';
import type { Screen } from './screen.js';
import { type Style, styleFor } from './style.js';

/** Shows how far a long operation is. */
export interface Progress {
  /** Shows one step. */
  report(event: ProgressEvent): void;
  /** Shows a line that stays. */
  note(text: string): void;
  /** Leaves the screen ready for what follows. */
  close(): void;
}

const BAR_WIDTH = 24;
const REDRAW_MS = 80;
const PLAIN_MS = 5000;

/** Progress for a screen: one line redrawn in place on a terminal, else plain lines now and then. */
export function progressOn(screen: Screen, now: () => number = () => performance.now()): Progress {
  return screen.interactive ? new LiveProgress(screen, now) : new PlainProgress(screen, now);
}

/** Keeps the meter of the phase at hand. */
class PhaseClock {
  #meter: Meter | undefined;

  next(event: ProgressEvent, now: number): { pace: Pace; began: boolean } {
    const began = this.#meter?.phase !== event.phase;
    if (began) this.#meter = new Meter(event, now);
    return { pace: (this.#meter as Meter).pace(event, now), began };
  }
}

/** One line that is redrawn; every finished phase and every message leaves a line behind. */
class LiveProgress implements Progress {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #style: Style;
  readonly #clock = new PhaseClock();
  #drawn = false;
  #last = Number.NEGATIVE_INFINITY;

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#now = now;
    this.#style = styleFor(screen.colour);
  }

  report(event: ProgressEvent): void {
    const now = this.#now();
    const { pace, began } = this.#clock.next(event, now);
    if (event.message !== undefined) this.note(event.message);
    const finished = event.completed >= event.total;
    if (finished) {
      if (!began || event.total > 0) this.#finish(event, pace);
    } else if (began || now - this.#last >= REDRAW_MS) {
      this.#last = now;
      this.#draw(this.#line(event, pace));
    }
  }

  note(text: string): void {
    this.close();
    this.#screen.write(`${text}\n`);
  }

  close(): void {
    if (!this.#drawn) return;
    this.#screen.write('\r\x1b[2K');
    this.#drawn = false;
  }

  #finish(event: ProgressEvent, pace: Pace): void {
    const amount = `${size(event.total, event)} in ${duration(pace.elapsed)}`;
    this.note(
      `${this.#style.green('✓')} ${event.phase} ${this.#style.dim(join([amount, values(event)]))}`,
    );
  }

  #line(event: ProgressEvent, pace: Pace): string {
    const share = event.total > 0 ? event.completed / event.total : 0;
    const filled = Math.round(BAR_WIDTH * Math.min(1, share));
    const bar = '━'.repeat(filled) + this.#style.dim('─'.repeat(BAR_WIDTH - filled));
    const room = this.#screen.columns - BAR_WIDTH - event.phase.length - 3;
    const facts = [amountOf(event), speed(event, pace), values(event)];
    return `${this.#style.bold(event.phase)} ${bar} ${join(facts).slice(0, Math.max(0, room))}`;
  }

  #draw(line: string): void {
    this.#screen.write(`\r\x1b[2K${line}`);
    this.#drawn = true;
  }
}

/** A line when a phase begins, every few seconds, and when it ends. */
class PlainProgress implements Progress {
  readonly #screen: Screen;
  readonly #now: () => number;
  readonly #clock = new PhaseClock();
  #last = Number.NEGATIVE_INFINITY;

  constructor(screen: Screen, now: () => number) {
    this.#screen = screen;
    this.#now = now;
  }

  report(event: ProgressEvent): void {
    const now = this.#now();
    const { pace, began } = this.#clock.next(event, now);
    if (event.message !== undefined) this.note(event.message);
    const finished = event.completed >= event.total;
    if (!began && !finished && now - this.#last < PLAIN_MS) return;
    this.#last = now;
    const amount = amountOf(event);
    const tail = finished ? (began ? '' : `in ${duration(pace.elapsed)}`) : speed(event, pace);
    this.note(`${event.phase}: ${join([amount, tail, values(event)])}`);
  }

  note(text: string): void {
    this.#screen.write(`${text}\n`);
  }

  close(): void {}
}

function amountOf(event: ProgressEvent): string {
  if (event.unit === 'bytes') return `${bytes(event.completed)} of ${bytes(event.total)}`;
  return `${event.completed}/${event.total} ${event.unit}`;
}

function size(amount: number, { unit }: ProgressEvent): string {
  return unit === 'bytes' ? bytes(amount) : `${amount} ${unit}`;
}

function speed(event: ProgressEvent, { rate, remaining }: Pace): string {
  if (rate === undefined || remaining === undefined) return '';
  const fast = event.unit === 'bytes' ? bytes(rate) : `${significant(rate, 3)} ${event.unit}`;
  const shown = rate >= 1 ? `${fast}/s` : `${significant(1 / rate, 3)} s each`;
  return `${shown}, ${duration(remaining)} to go`;
}

function values(event: ProgressEvent): string {
  return Object.entries(event.values ?? {})
    .map(([name, value]) => (typeof value === 'number' ? figure(name, value) : `${name} ${value}`))
    .join(', ');
}

/** A figure under its name in words; amounts of memory and rates in their units. */
function figure(name: string, value: number): string {
  const words = (text: string) => text.replace(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  if (name.endsWith('Bytes')) return `${words(name.slice(0, -'Bytes'.length))} ${bytes(value)}`;
  if (name.endsWith('PerSecond')) {
    return `${whole(value)} ${words(name.slice(0, -'PerSecond'.length))}/s`;
  }
  return `${words(name)} ${Number.isInteger(value) ? String(value) : significant(value)}`;
}

function join(parts: readonly string[]): string {
  return parts.filter((part) => part !== '').join(', ');
}
