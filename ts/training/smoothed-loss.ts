/**
 * Exponential moving average of a loss, corrected for its start at zero as Adam's moments are: the
 * first value counts in full. Values that are not finite are left out.
 */
export class SmoothedLoss {
  readonly #decay: number;
  #sum = 0;
  #weight = 0;

  /**
   * @param halfLife values after which one counts half, default 20
   * @param state what `state` gave earlier, to go on from there
   */
  constructor(halfLife = 20, state: { sum: number; weight: number } = { sum: 0, weight: 0 }) {
    this.#decay = 0.5 ** (1 / halfLife);
    this.#sum = state.sum;
    this.#weight = state.weight;
  }

  /** Takes a value in and returns the average. */
  add(loss: number): number {
    if (Number.isFinite(loss)) {
      this.#sum = this.#decay * this.#sum + (1 - this.#decay) * loss;
      this.#weight = this.#decay * this.#weight + (1 - this.#decay);
    }
    return this.value;
  }

  /** The average; NaN before the first value. */
  get value(): number {
    return this.#weight === 0 ? Number.NaN : this.#sum / this.#weight;
  }

  /** What the average is made of, for a checkpoint. */
  get state(): { sum: number; weight: number } {
    return { sum: this.#sum, weight: this.#weight };
  }
}
