import { EspalierError } from '../common/errors.js';
import { native } from './addon.js';
import { noteCudaInUse } from './cuda-libraries.js';
import { probeCuda } from './cuda-probe.js';

/** What a caller may ask for; `cuda` is `cuda:0`. */
export type DeviceRequest = 'auto' | 'cpu' | 'cuda' | `cuda:${number}`;

/** A concrete device and why it was chosen. */
export interface ResolvedDevice {
  /** `cpu`, or `cuda:N` for the N-th GPU, from 0, that `CUDA_VISIBLE_DEVICES` leaves. */
  device: string;
  reasons: readonly string[];
}

/**
 * Turns a request into the concrete device, once; nothing falls back later. `auto` is the GPU where
 * one can be used.
 *
 * @param request default `auto`
 * @throws EspalierError `DEVICE_UNAVAILABLE` with the reason for a device that can't be had,
 * `CONFIG` for one that does not exist
 */
export function resolveDevice(request: string = 'auto'): ResolvedDevice {
  if (request === 'cpu') return { device: 'cpu', reasons: ['asked for'] };
  const ordinal = /^cuda(?::(\d{1,4}))?$/.exec(request);
  if (request !== 'auto' && ordinal === null) {
    throw new EspalierError('CONFIG', `device must be auto, cpu, cuda or cuda:N, got ${request}`, {
      op: 'resolveDevice',
      details: { option: 'device', value: request },
    });
  }
  const { available, backend, reasons, remedy } = probeCuda();
  if (available) {
    const device = native().openCuda(backend!, Number(ordinal?.[1] ?? 0));
    noteCudaInUse(backend!);
    return { device, reasons };
  }
  if (request === 'auto') return { device: 'cpu', reasons };
  throw new EspalierError('DEVICE_UNAVAILABLE', `device cuda: ${reasons.join('; ')}`, {
    op: 'resolveDevice',
    remedy,
    details: { device: request, reasons },
  });
}
