import type { Worker } from 'node:worker_threads';
import { abortError, throwIfAborted } from '../common/abort.js';
import { EspalierError } from '../common/errors.js';
import { startWorker } from '../common/start-worker.js';
import type { ChatMessage } from './chat-template.js';
import type { EncodedSequences, LearntText } from './sequence-encoder.js';
import type { TokenizerReply, TokenizerRequest, TokenizerTokens } from './tokenizer-worker.js';

/** Options of {@link Tokenizer.encode} and {@link Tokenizer.encodeFile}. */
export interface EncodeOptions {
  /** Add the tokenizer's own special tokens, as at the start of a text. Default true. */
  specialTokens?: boolean;
  signal?: AbortSignal;
}

/**
 * The tokenizer of a model directory (`tokenizer.json`, `tokenizer_config.json`), which gives the ids
 * that Hugging Face's tokenizers give. It works in a thread of its own, one request after the other:
 * a long text never delays the event loop.
 */
export class Tokenizer {
  readonly #directory: string;
  #worker: Worker | undefined;
  #queue: Promise<unknown> = Promise.resolve();

  private constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * Loads the tokenizer of a model directory.
   * @throws EspalierError `UNSUPPORTED` without a tokenizer.json, `FORMAT` for one that is broken.
   */
  static async open(directory: string, signal?: AbortSignal): Promise<Tokenizer> {
    const tokenizer = new Tokenizer(directory);
    try {
      await tokenizer.#ask({ kind: 'load' }, signal);
      return tokenizer;
    } catch (error) {
      await tokenizer.dispose();
      throw error;
    }
  }

  /**
   * The token ids of a text.
   * @throws EspalierError `ABORTED`; the tokenizer stays usable.
   */
  async encode(text: string, options: EncodeOptions = {}): Promise<Int32Array> {
    const { specialTokens = true, signal } = options;
    const reply = await this.#ask({ kind: 'encode', text, specialTokens }, signal);
    return 'ids' in reply ? reply.ids : new Int32Array();
  }

  /**
   * The token ids of a text file, taken as one string, and its length in bytes.
   * @throws EspalierError `CONFIG` when it can't be read, `FORMAT` when it is not UTF-8, `ABORTED`.
   */
  async encodeFile(
    path: string,
    options: EncodeOptions = {},
  ): Promise<{ ids: Int32Array; bytes: number }> {
    const { specialTokens = true, signal } = options;
    const reply = await this.#ask({ kind: 'encode-file', path, specialTokens }, signal);
    return 'bytes' in reply ? reply : { ids: new Int32Array(), bytes: 0 };
  }

  /**
   * The token ids of many texts, in one trip to the tokenizer's thread.
   * @throws EspalierError `FORMAT` for a text that has no tokens in this vocabulary, `ABORTED`.
   */
  async encodeAll(texts: readonly string[], options: EncodeOptions = {}): Promise<Int32Array[]> {
    const { specialTokens = true, signal } = options;
    const reply = await this.#ask({ kind: 'encode-all', texts, specialTokens }, signal);
    const { ids, lengths } = sequences(reply);
    let end = 0;
    return Array.from(lengths, (length) => {
      end += length;
      return ids.subarray(end - length, end);
    });
  }

  /**
   * Texts, or pairs of texts, with the tokenizer's special tokens around them, each cut to
   * `maxLength` tokens; of a pair the longer part is cut first.
   * @throws EspalierError `CONFIG` when `maxLength` has no room for the special tokens, `ABORTED`.
   */
  async encodePairs(
    texts: readonly string[],
    pairs: readonly string[] | undefined,
    { maxLength, signal }: { maxLength: number; signal?: AbortSignal },
  ): Promise<EncodedSequences> {
    return sequences(await this.#ask({ kind: 'encode-pairs', texts, pairs, maxLength }, signal));
  }

  /**
   * Texts of which only parts are learnt, and conversations, which the tokenizer's own chat template
   * writes as texts of which the assistant's turns are learnt. An id stands as it is where its token
   * counts in the loss, and as ~id where it does not.
   * @throws EspalierError `UNSUPPORTED` for conversations without a usable chat template, `FORMAT`
   * when it refuses one, `ABORTED`.
   */
  async encodeLearnt(
    items: readonly (LearntText | { messages: ChatMessage[] })[],
    signal?: AbortSignal,
  ): Promise<EncodedSequences> {
    return sequences(await this.#ask({ kind: 'encode-learnt', items }, signal));
  }

  /** The special tokens that a program needs to know. */
  async tokens(signal?: AbortSignal): Promise<TokenizerTokens> {
    const reply = await this.#ask({ kind: 'describe' }, signal);
    return 'tokens' in reply ? reply.tokens : { endId: undefined, padId: undefined };
  }

  /** The text of token ids, special tokens included. */
  async decode(ids: Int32Array): Promise<string> {
    const reply = await this.#ask({ kind: 'decode', ids }, undefined);
    return 'text' in reply ? reply.text : '';
  }

  /** Ends the tokenizer's thread; a later request starts it again. Idempotent. */
  async dispose(): Promise<void> {
    const worker = this.#worker;
    this.#worker = undefined;
    await worker?.terminate();
  }

  #ask(request: TokenizerRequest, signal: AbortSignal | undefined): Promise<TokenizerReply> {
    const turn = this.#queue.then(() => this.#exchange(request, signal));
    this.#queue = turn.catch(() => undefined);
    return turn;
  }

  #exchange(request: TokenizerRequest, signal: AbortSignal | undefined): Promise<TokenizerReply> {
    throwIfAborted(signal, 'tokenize');
    const options = { workerData: { directory: this.#directory } };
    this.#worker ??= startWorker('tokenizer-worker', import.meta.url, options);
    const worker = this.#worker;
    worker.ref();
    return new Promise((resolve, reject) => {
      const settle = (finish: () => void) => {
        signal?.removeEventListener('abort', onAbort);
        worker.off('error', onError).off('exit', onExit).off('message', onMessage);
        worker.unref();
        finish();
      };
      const fail = (error: unknown) => {
        if (this.#worker === worker) this.#worker = undefined;
        settle(() => reject(error));
      };
      const onAbort = () => {
        void worker.terminate();
        fail(abortError(signal));
      };
      const onError = (cause: unknown) => fail(threadError(cause));
      const onExit = () => fail(new EspalierError('ABORTED', 'the tokenizer was disposed'));
      const onMessage = (reply: TokenizerReply) =>
        settle(() => {
          if (!('error' in reply)) return resolve(reply);
          const { code, message, ...rest } = reply.error;
          reject(new EspalierError(code, message, rest));
        });
      signal?.addEventListener('abort', onAbort, { once: true });
      worker.on('error', onError).on('exit', onExit).on('message', onMessage);
      worker.postMessage(request);
    });
  }
}

function sequences(reply: TokenizerReply): EncodedSequences {
  return 'lengths' in reply ? reply : { ids: new Int32Array(), lengths: new Int32Array() };
}

function threadError(cause: unknown): EspalierError {
  const errno = (cause as NodeJS.ErrnoException | null)?.code;
  if (errno === 'ERR_WORKER_OUT_OF_MEMORY') {
    return new EspalierError('OUT_OF_MEMORY', 'the text is too long to be tokenized at once', {
      remedy: 'use a shorter text',
      cause,
    });
  }
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new EspalierError('FORMAT', `the tokenizer failed: ${reason}`, { cause });
}
