import type { Checkpoint } from './checkpoint.js';
import { disposeLayer, type HeldAs, type LayerWeights, loadLayer } from './layer-weights.js';

/**
 * Loads the layers of a checkpoint in their order. On a GPU the next one is asked for before the
 * present one is computed, so that its weights are copied meanwhile: two layers' weights are there at
 * a time. On the CPU weights are mapped and there is nothing to copy.
 */
export class LayerFeed {
  readonly #checkpoint: Checkpoint;
  readonly #held: HeldAs;
  #next: { index: number; layer: LayerWeights } | undefined;

  /** Loads nothing yet. */
  constructor(checkpoint: Checkpoint, held: HeldAs = 'auto') {
    this.#checkpoint = checkpoint;
    this.#held = held;
  }

  /**
   * The weights of layer `index`, which are the caller's from now on.
   * @throws EspalierError as `loadLayer`
   */
  take(index: number): LayerWeights {
    const layer =
      this.#next?.index === index
        ? this.#next.layer
        : loadLayer(this.#checkpoint, index, this.#held);
    if (this.#next?.index === index) this.#next = undefined;
    this.dispose();
    const following = index + 1;
    if (this.#checkpoint.device !== 'cpu' && following < this.#checkpoint.config.layers.length) {
      this.#next = {
        index: following,
        layer: loadLayer(this.#checkpoint, following, this.#held),
      };
    }
    return layer;
  }

  /** Frees the layer that nobody has taken. Idempotent. */
  dispose(): void {
    if (this.#next !== undefined) disposeLayer(this.#next.layer);
    this.#next = undefined;
  }
}
