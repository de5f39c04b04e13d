import { EspalierError } from './errors.js';

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
  tb: 1e12,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  tib: 2 ** 40,
};

/**
 * Reads an amount of memory: a number of bytes, or text such as `2GB`, `1.5 GiB`, `500mb`.
 * @param name the option's name, for the message
 * @throws EspalierError `CONFIG` for anything else
 */
export function parseBytes(value: number | string, name: string): number {
  const text = String(value).trim().toLowerCase();
  const match = /^(\d+(?:\.\d+)?)\s*([kmgt]?i?b?)$/.exec(text);
  const unit = match === null ? undefined : UNITS[match[2] as string];
  const bytes = unit === undefined ? Number.NaN : Number(match?.[1]) * unit;
  if (!Number.isFinite(bytes) || bytes <= 0) {
    throw new EspalierError('CONFIG', `${name} must be an amount of memory, got ${value}`, {
      remedy: 'write it like 2GB or 500MB',
    });
  }
  return Math.floor(bytes);
}
