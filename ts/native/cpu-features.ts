import { readFileSync } from 'node:fs';

/** Vector and matrix extensions worth naming, as /proc/cpuinfo spells them. */
const NOTABLE = [
  'sse4_2',
  'avx',
  'fma',
  'f16c',
  'avx2',
  'avx512f',
  'avx512bw',
  'avx512_vnni',
  'avx512_bf16',
  'avx512_fp16',
  'avx_vnni',
  'amx_tile',
  'amx_bf16',
  'amx_int8',
  'asimd',
  'asimdhp',
  'asimddp',
  'bf16',
  'i8mm',
  'sve',
  'sve2',
];

/** The extensions among those we care about that the processor reports; `[]` when it does not say. */
export function cpuFeatures(file = '/proc/cpuinfo'): string[] {
  try {
    const line = /^(?:flags|Features)\s*:(.*)$/m.exec(readFileSync(file, 'utf8'))?.[1] ?? '';
    const reported = new Set(line.split(/\s+/));
    return NOTABLE.filter((feature) => reported.has(feature));
  } catch {
    return [];
  }
}
