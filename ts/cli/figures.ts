const BYTE_UNITS = ['B', 'kB', 'MB', 'GB', 'TB'];
const COUNT_UNITS = ['', ' k', ' M', ' B', ' T'];

/** Bytes for people, in powers of 1000: `13.5 GB`. */
export function bytes(value: number): string {
  return scaled(
    value,
    BYTE_UNITS.map((unit) => ` ${unit}`),
  );
}

/** A count for people: `936.4 k`, `6.74 B`; up to 9999 in full. */
export function count(value: number): string {
  return value < 10_000 ? String(Math.round(value)) : scaled(value, COUNT_UNITS);
}

/** A whole number with a comma every three digits: `936,448`. */
export function whole(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

/** A fraction as a percentage: `20.3 %`. */
export function percent(fraction: number): string {
  return `${(fraction * 100).toFixed(1)} %`;
}

/** Seconds for people: `0.42 s`, `7.3 s`, `2:05`, `1:02:05`. */
export function duration(seconds: number): string {
  if (!Number.isFinite(seconds)) return '-';
  if (seconds < 1) return `${seconds.toFixed(2)} s`;
  if (seconds < 60) return `${seconds.toFixed(1)} s`;
  const total = Math.round(seconds);
  const pad = (value: number) => String(value).padStart(2, '0');
  const minutes = Math.floor(total / 60);
  if (minutes < 60) return `${minutes}:${pad(total % 60)}`;
  return `${Math.floor(minutes / 60)}:${pad(minutes % 60)}:${pad(total % 60)}`;
}

/** A number with four significant digits, without trailing zeros after six digits or an exponent. */
export function significant(value: number, digits = 4): string {
  if (!Number.isFinite(value)) return String(value);
  const size = Math.abs(value);
  if (size >= 1e6) return value.toExponential(2);
  return size >= 10 ** (digits - 1) ? value.toFixed(0) : value.toPrecision(digits);
}

function scaled(value: number, units: readonly string[]): string {
  let scale = 0;
  let rest = value;
  while (rest >= 999.5 && scale < units.length - 1) {
    rest /= 1000;
    scale++;
  }
  const text = scale === 0 ? String(Math.round(rest)) : rest.toPrecision(3);
  return text + units[scale];
}
