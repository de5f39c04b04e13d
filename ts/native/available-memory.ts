import { native } from './addon.js';
import { probeCuda } from './cuda-probe.js';

/** Bytes that a computation on a device may still take, as far as the system tells. */
export function availableMemory(device: string): number {
  if (device === 'cpu') return process.availableMemory();
  return (probeCuda().gpu?.memory ?? 0) - native().memory(device).inUse;
}
