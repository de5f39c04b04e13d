import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Machine, machineText } from './machine.js';

/** A table of a report. */
interface Table {
  title: string;
  columns: readonly string[];
  rows: (readonly string[])[];
}

/** A claim and what was measured. */
export interface Target {
  what: string;
  value: number;
  limit: number;
  /** The claim is `value` at most, or at least, `limit`. */
  kind: 'at most' | 'at least';
  met: boolean;
}

/** What a suite measured: tables, notes, and targets met or missed; printed and kept in results/. */
export class Report {
  readonly #tables: Table[] = [];
  readonly #notes: string[] = [];
  readonly #targets: Target[] = [];
  readonly #data: Record<string, unknown> = {};

  /** `suite` names the files; `claim` is the sentence that is put to the test. */
  constructor(
    readonly suite: string,
    readonly claim: string,
    readonly machine: Machine,
  ) {}

  /** Adds a table; rows that are pushed to `rows` later belong to it too. */
  table(title: string, columns: readonly string[], rows: (readonly string[])[]): void {
    this.#tables.push({ title, columns, rows });
  }

  /** Adds a sentence on how something was measured. */
  note(text: string): void {
    this.#notes.push(text);
  }

  /** Holds a figure against its target. */
  target(what: string, value: number, kind: 'at most' | 'at least', limit: number): void {
    const met = kind === 'at most' ? value <= limit : value >= limit;
    this.#targets.push({ what, value, limit, kind, met });
  }

  /** Keeps raw values in the JSON beside the tables. */
  data(key: string, value: unknown): void {
    this.#data[key] = value;
  }

  /** The report as Markdown. */
  markdown(): string {
    const parts = [`# ${this.suite}`, this.claim, machineText(this.machine)];
    if (this.#targets.length > 0) {
      const rows = this.#targets.map((t) => [
        t.what,
        formatFigure(t.value),
        `${t.kind === 'at most' ? '≤' : '≥'} ${formatFigure(t.limit)}`,
        t.met ? 'met' : 'missed',
      ]);
      parts.push('## Targets', markdownTable(['what', 'measured', 'target', ''], rows));
    }
    for (const { title, columns, rows } of this.#tables.filter(({ rows }) => rows.length > 0)) {
      parts.push(`## ${title}`, markdownTable(columns, rows));
    }
    if (this.#notes.length > 0) parts.push('## Notes', this.#notes.map((n) => `- ${n}`).join('\n'));
    return `${parts.join('\n\n')}\n`;
  }

  /** Writes `<suite>.md` and `<suite>.json` into `directory`. */
  write(directory: string): void {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${this.suite}.md`), this.markdown());
    const { suite, claim, machine } = this;
    const json = { suite, claim, machine, targets: this.#targets, ...this.#data };
    writeFileSync(join(directory, `${suite}.json`), `${JSON.stringify(json, null, 1)}\n`);
  }
}

/** A number with three significant digits, or all digits before the point. */
export function formatFigure(value: number): string {
  if (!Number.isFinite(value)) return String(value);
  if (Math.abs(value) >= 100) return value.toFixed(0);
  if (value !== 0 && Math.abs(value) < 1e-3) return value.toExponential(1);
  return value.toPrecision(3);
}

/** Seconds as text in a fitting unit. */
export function formatSeconds(seconds: number): string {
  if (seconds < 1e-3) return `${(seconds * 1e6).toPrecision(3)} µs`;
  if (seconds < 1) return `${(seconds * 1e3).toPrecision(3)} ms`;
  return `${seconds < 100 ? seconds.toPrecision(3) : seconds.toFixed(0)} s`;
}

function markdownTable(columns: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = columns.map((title, i) =>
    Math.max(3, title.length, ...rows.map((row) => (row[i] ?? '').length)),
  );
  const line = (cells: readonly string[]) =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width)).join(' | ')} |`;
  return [line(columns), line(widths.map((w) => '-'.repeat(w))), ...rows.map(line)].join('\n');
}
