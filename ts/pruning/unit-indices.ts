/**
 * The rows or columns that units own, when each owns `width` consecutive ones.
 * @param units ascending
 */
export function unitIndices(units: readonly number[], width: number): number[] {
  if (width === 1) return [...units];
  return units.flatMap((unit) => Array.from({ length: width }, (_, i) => unit * width + i));
}
