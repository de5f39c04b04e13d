import type { LoraAdapter } from './lora-adapter.js';
import type { Parameter } from './parameter.js';

/**
 * The adapters of one client or task, by the path of the module that each changes
 * (`model.layers.0.self_attn.q_proj`). A model refers to a set while it computes, so many sets share
 * one base and switching costs nothing.
 */
export class AdapterSet {
  /** By module path. */
  readonly adapters: ReadonlyMap<string, LoraAdapter>;
  /** Whole tensors that are trained beside the adapters, by full name (`classifier.weight`). */
  readonly saved: ReadonlyMap<string, Parameter>;

  /** Takes adapters and parameters over: `dispose()` frees them. */
  constructor(
    adapters: ReadonlyMap<string, LoraAdapter>,
    saved: ReadonlyMap<string, Parameter> = new Map(),
  ) {
    this.adapters = adapters;
    this.saved = saved;
  }

  /** Every parameter under the name that PEFT gives it in adapter_model.safetensors. */
  *parameters(): Generator<[string, Parameter]> {
    for (const [path, adapter] of this.adapters) {
      yield [`base_model.model.${path}.lora_A.weight`, adapter.a];
      yield [`base_model.model.${path}.lora_B.weight`, adapter.b];
    }
    for (const [name, parameter] of this.saved) yield [`base_model.model.${name}`, parameter];
  }

  /** Number of trained elements. */
  get size(): number {
    let size = 0;
    for (const [, parameter] of this.parameters()) size += parameter.size;
    return size;
  }

  /** Frees every parameter. Idempotent. */
  dispose(): void {
    for (const [, parameter] of this.parameters()) parameter.dispose();
  }
}
