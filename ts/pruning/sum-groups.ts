/** Sums of consecutive values, `width` at a time: one for each unit that owns so many. */
export function sumGroups(values: Float64Array, width: number): Float64Array {
  if (width === 1) return values;
  const sums = new Float64Array(values.length / width);
  for (const [i, value] of values.entries()) {
    const group = Math.floor(i / width);
    sums[group] = (sums[group] as number) + value;
  }
  return sums;
}
