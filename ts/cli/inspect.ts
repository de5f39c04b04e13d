import type { Command } from 'commander';
import { type Inspection, inspect } from '../models/inspect.js';
import { addCommonFlags, type CommonFlags } from './common-flags.js';
import { bytes, whole } from './figures.js';
import type { RunVerb } from './run-verb.js';
import type { Style } from './style.js';
import { pairs, table } from './table.js';

/** Adds `espalier inspect`. */
export function addInspect(program: Command, run: RunVerb): void {
  const command = program
    .command('inspect')
    .argument('<model>', 'Hugging Face model directory')
    .summary('say what is in a model and what it needs')
    .description('Describes a model directory from its headers; no weight is read.')
    .option('--tensors', 'list every tensor')
    .addHelpText(
      'after',
      '\nExamples:\n  espalier inspect ./model\n  espalier inspect ./model --tensors\n' +
        '  espalier inspect ./model --json | jq .parameters.total\n',
    )
    .action((model: string, { tensors, ...flags }: CommonFlags & { tensors?: boolean }) =>
      run(flags, {
        work: ({ signal }) => inspect(model, { tensors: tensors ?? false, signal }),
        text: inspectText,
      }),
    );
  addCommonFlags(command);
}

/** The description as tables for people. */
export function inspectText(found: Inspection, style: Style): string {
  const { parameters, memory, tokenizer, layers } = found;
  const share = (part: number) =>
    `${whole(part)} (${((100 * part) / parameters.total).toFixed(1)} %)`;
  const inLayers = (part: 'attention' | 'mlp' | 'norm') =>
    layers.reduce((sum, layer) => sum + layer.parameters[part], 0);
  const facts: [string, string][] = [
    ['family', found.family],
    ['parameters', whole(parameters.total)],
    ['  embedding', share(parameters.embedding) + (found.tieWordEmbeddings ? ', tied' : '')],
    ['  attention', share(inLayers('attention'))],
    ['  MLP', share(inLayers('mlp'))],
    ['  norms', share(inLayers('norm') + parameters.finalNorm)],
    ...(parameters.head > 0 ? [['  head', share(parameters.head)] as [string, string]] : []),
    ['hidden size', `${found.hiddenSize}, heads of ${found.headDim}`],
    ['positions', whole(found.maxPositionEmbeddings)],
    [
      'stored as',
      Object.entries(found.dtypes)
        .map(([name, n]) => `${name} (${whole(n)})`)
        .join(', '),
    ],
    ['to load', `${bytes(memory.load)} as stored, ${bytes(memory.loadF32)} in f32`],
    ['to prune', `about ${bytes(memory.prune)} (128 samples of 128 tokens)`],
    ['tokenizer', tokenizerText(tokenizer, found.vocabSize)],
    ['files', found.files.map((file) => `${file.name} (${bytes(file.bytes)})`).join(', ')],
  ];
  const perLayer = table(
    [
      { title: 'layers' },
      { title: 'heads', align: 'right' },
      { title: 'KV heads', align: 'right' },
      { title: 'MLP width', align: 'right' },
      { title: 'parameters', align: 'right' },
    ],
    layerRows(layers),
    style,
  );
  const listed =
    found.tensors === undefined
      ? ''
      : `\n${table(
          [
            { title: 'tensor' },
            { title: 'dtype' },
            { title: 'shape' },
            { title: 'bytes', align: 'right' },
          ],
          found.tensors.map(({ name, dtype, shape, bytes: size }) => [
            name,
            dtype,
            `[${shape.join(', ')}]`,
            whole(size),
          ]),
          style,
        )}`;
  return `${pairs(facts, style)}\n${perLayer}${listed}`;
}

/** One row for each run of equal layers. */
function layerRows(layers: Inspection['layers']): string[][] {
  const rows: { first: number; last: number; cells: string[] }[] = [];
  layers.forEach((layer, index) => {
    const cells = [
      layer.numAttentionHeads,
      layer.numKeyValueHeads,
      layer.intermediateSize,
      layer.parameters.total,
    ].map(whole);
    const previous = rows.at(-1);
    if (previous?.cells.join() === cells.join()) previous.last = index;
    else rows.push({ first: index, last: index, cells });
  });
  return rows.map(({ first, last, cells }) => [
    first === last ? String(first) : `${first}-${last}`,
    ...cells,
  ]);
}

function tokenizerText(tokenizer: Inspection['tokenizer'], vocabulary: number): string {
  if (tokenizer === undefined) return `none; the model has ${whole(vocabulary)} tokens`;
  const { type, vocabSize } = tokenizer;
  const differs = vocabSize === vocabulary ? '' : `; the model has ${whole(vocabulary)}`;
  return `${type}, ${whole(vocabSize)} tokens${differs}`;
}
