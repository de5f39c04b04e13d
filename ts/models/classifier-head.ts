import type { EncoderConfig } from '../formats/encoder-config.js';
import type { ModelConfig } from '../formats/model-config.js';
import { encoderPrefix } from './encoder-names.js';

/** The layers between the pooled state and the logits of the classes. */
export interface ClassifierHead {
  /** Paths of the dense layers, the last one gives the logits. */
  layers: readonly string[];
  /** Between them. */
  activation: 'tanh' | 'relu';
  /** The layers have biases. */
  bias: boolean;
  /** Dropout before the first layer too, not only before the last. */
  dropFirst: boolean;
  /** Probability of the dropout, in training. */
  dropout: number;
  /** Standard deviation with which a new head starts. */
  initializerRange: number;
  /** Top-level modules that hold layers with as many rows as classes, as PEFT saves them whole. */
  modules: readonly string[];
}

/** Whether a configuration is that of an encoder. */
export function isEncoder(config: EncoderConfig | ModelConfig): config is EncoderConfig {
  return 'typeVocabSize' in config;
}

/** The head that transformers' …ForSequenceClassification has for a family. */
export function classifierHead(config: EncoderConfig | ModelConfig): ClassifierHead {
  if (!isEncoder(config)) {
    const range = config.raw.initializer_range;
    return {
      layers: ['score'],
      activation: 'tanh',
      bias: false,
      dropFirst: false,
      dropout: 0,
      initializerRange: typeof range === 'number' && range > 0 ? range : 0.02,
      modules: ['score'],
    };
  }
  const { family, classifierDropout: dropout, initializerRange } = config;
  const common = { bias: true, dropout, initializerRange };
  switch (family) {
    case 'bert': {
      const layers = [`${encoderPrefix(family)}pooler.dense`, 'classifier'];
      const modules = ['classifier'];
      return { ...common, layers, activation: 'tanh', dropFirst: false, modules };
    }
    case 'roberta': {
      const layers = ['classifier.dense', 'classifier.out_proj'];
      const modules = ['classifier'];
      return { ...common, layers, activation: 'tanh', dropFirst: true, modules };
    }
    case 'distilbert': {
      const layers = ['pre_classifier', 'classifier'];
      const modules = ['pre_classifier', 'classifier'];
      return { ...common, layers, activation: 'relu', dropFirst: false, modules };
    }
  }
}
