/** Element types of tensors; `f64` holds Gram matrices and factorisations, never weights. */
export type DType = 'f32' | 'bf16' | 'f16' | 'f64' | 'i64' | 'i32' | 'u8';

/** Dimensions of a row-major tensor, at most eight; `[]` is a scalar. */
export type Shape = readonly number[];

/** What a tensor's elements look like in JavaScript: bf16 and f16 as bit patterns in a Uint16Array. */
export type TypedArray =
  | Float32Array
  | Float64Array
  | Uint16Array
  | BigInt64Array
  | Int32Array
  | Uint8Array;
