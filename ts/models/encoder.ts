import { atOnce, type Pieces } from '../common/pieces.js';
import type { Products } from '../native/addon.js';
import type { EncoderConfig } from '../formats/encoder-config.js';
import { noGrad } from '../nn/no-grad.js';
import { recompute } from '../nn/recompute.js';
import { add } from '../ops/add.js';
import { attention } from '../ops/attention.js';
import { dropout } from '../ops/dropout.js';
import { embedding } from '../ops/embedding.js';
import { gelu } from '../ops/gelu.js';
import { layerNorm } from '../ops/layer-norm.js';
import { isTracked } from '../tensor/recorder.js';
import { scope, scopeInPieces } from '../tensor/scope.js';
import { Tensor } from '../tensor/tensor.js';
import { encoderLayerNames, encoderOuterNames, encoderPrefix } from './encoder-names.js';
import { dropoutSeedAt, type ForwardContext } from './forward-context.js';
import { frozenDepth, type LayerParts } from './frozen-depth.js';
import type { LinearWeights } from './layer-weights.js';
import type { PrefixCache } from './prefix-cache.js';
import { project } from './project.js';
import type { TokenBatch } from './token-batch.js';

/** Places of the dropout masks outside the adapters start here. */
const FIRST_PLACE = 1_000_000;

/** A BERT, RoBERTa or DistilBERT encoder without its head. */
export class Encoder {
  /** What it computes. */
  readonly config: EncoderConfig;
  /** Every weight, by its name in a classifier's checkpoint (`bert.embeddings…`). */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** The linear layers that adapters can change, by module path. */
  readonly linears: ReadonlyMap<string, LinearWeights>;
  /** Keeps what the layers below the lowest trained one give; stays its owner's. Default none. */
  prefixCache: PrefixCache | undefined;
  readonly #layers: readonly LayerParts[];
  readonly #embeddings: readonly Tensor[];

  /**
   * Takes the weights over: `dispose()` frees them.
   * @param products how linear layers and attention multiply; default `f32`
   */
  constructor(
    config: EncoderConfig,
    tensors: ReadonlyMap<string, Tensor>,
    products: Products = 'f32',
  ) {
    this.config = config;
    this.tensors = tensors;
    const prefix = encoderPrefix(config.family);
    const linears = new Map<string, LinearWeights>();
    const layers: LayerParts[] = [];
    for (let layer = 0; layer < config.numHiddenLayers; layer++) {
      const names = encoderLayerNames(config.family, layer);
      for (const part of ['query', 'key', 'value', 'output', 'up', 'down'] as const) {
        const path = `${prefix}${names[part]}`;
        linears.set(path, {
          weight: this.#tensor(`${names[part]}.weight`),
          bias: this.#tensor(`${names[part]}.bias`),
          products,
        });
      }
      // Such as bert.encoder.layer.0.
      const path = `${prefix}${names.query.split('.').slice(0, 3).join('.')}.`;
      layers.push({ tensors: under(tensors, path), linears: under(linears, path) });
    }
    this.linears = linears;
    this.#layers = layers;
    this.#embeddings = under(tensors, `${prefix}embeddings.`);
  }

  /** Where it computes. */
  get device(): string {
    return this.#tensor(`${encoderOuterNames(this.config).words}.weight`).device;
  }

  /**
   * The hidden states after the last layer.
   * @param batch its mask hides padding
   * @returns f32 [batch, sequence, hidden]
   */
  hiddenStates(batch: TokenBatch, context: ForwardContext): Tensor {
    return atOnce(this.stream(batch, context));
  }

  /** As {@link hiddenStates}, a piece for each layer. */
  stream(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    return scopeInPieces(() => this.#fromTokens(batch, context));
  }

  *#fromTokens(batch: TokenBatch, context: ForwardContext): Pieces<Tensor> {
    const cache = this.prefixCache;
    const depth = this.#cachedDepth(context);
    const x =
      cache === undefined || depth === 0
        ? this.embed(batch, context)
        : cache.stream(batch, depth, (sample) =>
            noGrad(() =>
              atOnce(this.#through(this.embed(sample, {}), 0, depth, this.#masked(sample, {}))),
            ),
          );
    const inside = this.#masked(batch, context);
    return yield* this.#through(x, depth, this.config.numHiddenLayers, inside);
  }

  /** Through the layers `[from, to)`, in the scope around. */
  *#through(x: Tensor, from: number, to: number, context: ForwardContext): Pieces<Tensor> {
    let stream = x;
    for (let layer = from; layer < to; layer++) {
      const next = this.#layer(stream, layer, context);
      stream.dispose();
      stream = next;
      yield;
    }
    return stream;
  }

  /** The stream entering the first layer, f32 [batch, sequence, hidden]. */
  embed(batch: TokenBatch, context: ForwardContext): Tensor {
    return scope(() => {
      const names = encoderOuterNames(this.config);
      const shape = [batch.batch, batch.sequence];
      const { family, padTokenId } = this.config;
      const look = (name: string, ids: Int32Array, paddingIndex = -1) =>
        embedding(this.#upload(ids, shape), this.#tensor(`${name}.weight`), { paddingIndex });
      // transformers never trains the rows of padding.
      const words = look(names.words, batch.inputIds, padTokenId);
      const unused = family === 'roberta' ? padTokenId : -1;
      let x = add(words, look(names.positions, this.#positions(batch), unused));
      if (names.types !== undefined) {
        const types = batch.typeIds ?? new Int32Array(batch.inputIds.length);
        x = add(x, look(names.types, Int32Array.from(types)));
      }
      return this.#drop(this.#norm(x, names.norm), context, 0);
    });
  }

  /** Frees the weights. Idempotent. */
  dispose(): void {
    for (const tensor of this.tensors.values()) tensor.dispose();
  }

  #upload(data: Int32Array | Uint8Array, shape: number[]): Tensor {
    return Tensor.from(data, shape, { device: this.device });
  }

  /** A context that hides the padding of a batch. */
  #masked({ attentionMask, batch, sequence }: TokenBatch, context: ForwardContext): ForwardContext {
    if (!attentionMask?.includes(0)) return context;
    return { ...context, keyMask: this.#upload(attentionMask, [batch, sequence]) };
  }

  #tensor(name: string): Tensor {
    const tensor = this.tensors.get(`${encoderPrefix(this.config.family)}${name}`);
    if (tensor === undefined) throw new Error(`unreachable: no tensor ${name}`);
    return tensor;
  }

  #linear(path: string): LinearWeights {
    return this.linears.get(`${encoderPrefix(this.config.family)}${path}`) as LinearWeights;
  }

  #norm(x: Tensor, name: string): Tensor {
    const [weight, bias] = [this.#tensor(`${name}.weight`), this.#tensor(`${name}.bias`)];
    return layerNorm(x, weight, bias, this.config.layerNormEps);
  }

  #drop(x: Tensor, context: ForwardContext, place: number): Tensor {
    const seed = dropoutSeedAt(context, FIRST_PLACE + place);
    const probability = this.config.hiddenDropout;
    return seed === undefined || probability === 0 ? x : dropout(x, probability, seed);
  }

  /** How many layers come out of the cache: none where dropout makes every pass another one. */
  #cachedDepth({ adapters, dropoutSeed }: ForwardContext): number {
    if (this.prefixCache === undefined) return 0;
    if (dropoutSeed !== undefined && this.config.hiddenDropout > 0) return 0;
    return frozenDepth(this.#embeddings, this.#layers, adapters);
  }

  #layer(x: Tensor, layer: number, context: ForwardContext): Tensor {
    if (context.gradientCheckpointing !== true) return this.#layerForward(x, layer, context);
    const { tensors, linears } = this.#layers[layer] as LayerParts;
    const inside = [...tensors];
    for (const linear of linears) {
      const adapter = context.adapters?.get(linear)?.adapter;
      if (adapter !== undefined) inside.push(adapter.a.value, adapter.b.value);
    }
    const uses = inside.filter((tensor) => isTracked(tensor));
    const { keyMask, ...rest } = context;
    return recompute(
      ([stream, mask]) =>
        this.#layerForward(stream as Tensor, layer, {
          ...rest,
          ...(mask === undefined ? {} : { keyMask: mask }),
        }),
      keyMask === undefined ? [x] : [x, keyMask],
      uses,
    );
  }

  #layerForward(x: Tensor, layer: number, context: ForwardContext): Tensor {
    const { family, numAttentionHeads: heads, hiddenSize, activation } = this.config;
    const names = encoderLayerNames(family, layer);
    const [batch, sequence] = x.shape as [number, number, number];
    const one = (input: Tensor, path: string) =>
      project(input, [this.#linear(path)], context)[0] as Tensor;
    const { products = 'f32' } = this.#linear(names.query);
    return scope(() => {
      const inputs = [names.query, names.key, names.value].map((path) => this.#linear(path));
      const [query, key, value] = project(x, inputs, context).map((projection) =>
        projection.reshape([batch, sequence, heads, hiddenSize / heads]),
      ) as [Tensor, Tensor, Tensor];
      const mixed = attention(query, key, value, {
        causal: false,
        products,
        ...(context.keyMask === undefined ? {} : { keyMask: context.keyMask }),
      }).reshape([batch, sequence, hiddenSize]);
      const attended = this.#drop(one(mixed, names.output), context, 2 * layer + 1);
      const middle = this.#norm(add(x, attended), names.attentionNorm);
      const approximate = activation === 'gelu' ? 'none' : 'tanh';
      const wide = gelu(one(middle, names.up), { approximate });
      const down = this.#drop(one(wide, names.down), context, 2 * layer + 2);
      return this.#norm(add(middle, down), names.outputNorm);
    });
  }

  /** Positions from 0 for BERT; RoBERTa counts the tokens that are not padding. */
  #positions({ inputIds, batch, sequence }: TokenBatch): Int32Array {
    const positions = new Int32Array(inputIds.length);
    const { family, padTokenId } = this.config;
    for (let row = 0; row < batch; row++) {
      let counted = 0;
      for (let i = 0; i < sequence; i++) {
        const at = row * sequence + i;
        if (family !== 'roberta') positions[at] = i;
        else if (inputIds[at] === padTokenId) positions[at] = padTokenId;
        else positions[at] = padTokenId + ++counted;
      }
    }
    return positions;
  }
}

/** What stands below a path. */
function under<V>(named: ReadonlyMap<string, V>, path: string): V[] {
  return [...named].flatMap(([name, value]) => (name.startsWith(path) ? [value] : []));
}
