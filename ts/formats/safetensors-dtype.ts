/** Bits per element of every dtype that the safetensors format knows. */
export const SAFETENSORS_BITS = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E5M2: 8,
  F8_E4M3: 8,
  F8_E8M0: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2FNUZ: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  C64: 64,
  F64: 64,
  I64: 64,
  U64: 64,
} as const;

/** A dtype as safetensors files spell it. */
export type SafetensorsDType = keyof typeof SAFETENSORS_BITS;

const PAIRS = [
  ['F32', 'f32'],
  ['BF16', 'bf16'],
  ['F16', 'f16'],
  ['F64', 'f64'],
  ['I64', 'i64'],
  ['I32', 'i32'],
  ['U8', 'u8'],
] as const;

/** A dtype that both our tensors and safetensors files have, in our spelling. */
export type SharedDType = (typeof PAIRS)[number][1];

/** Our spelling of a file's dtype, or undefined when no tensor of ours can hold it. */
export function tensorDType(dtype: SafetensorsDType): SharedDType | undefined {
  return PAIRS.find(([theirs]) => theirs === dtype)?.[1];
}

/** The safetensors spelling of one of our dtypes. */
export function safetensorsDType(dtype: SharedDType): SafetensorsDType {
  const pair = PAIRS.find(([, ours]) => ours === dtype);
  if (pair === undefined) throw new TypeError(`no safetensors dtype for ${dtype}`);
  return pair[0];
}
