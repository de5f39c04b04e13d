/** Names of the classes, by number. */
export type LabelNames = readonly string[];

/**
 * The class names that a config.json holds (`id2label`), or undefined when it names none.
 */
export function readLabelNames(json: Readonly<Record<string, unknown>>): LabelNames | undefined {
  const names = json.id2label;
  if (typeof names !== 'object' || names === null) return undefined;
  const count = Object.keys(names).length;
  const result = Array.from({ length: count }, (_, i) => (names as Record<string, unknown>)[i]);
  return result.every((name) => typeof name === 'string') ? result : undefined;
}

/**
 * A config.json as that of a sequence classifier: architecture, class names, and nothing of another
 * head. Unknown fields stay.
 */
export function asClassifierConfig(
  json: Readonly<Record<string, unknown>>,
  labels: LabelNames,
): Record<string, unknown> {
  const named = Array.isArray(json.architectures) ? String(json.architectures[0]) : '';
  const base = /^(\w+?)(For\w+|Model|LMHeadModel)$/.exec(named)?.[1];
  const { num_labels: _, ...rest } = json;
  return {
    ...rest,
    ...(base === undefined ? {} : { architectures: [`${base}ForSequenceClassification`] }),
    id2label: Object.fromEntries(labels.map((label, i) => [String(i), label])),
    label2id: Object.fromEntries(labels.map((label, i) => [label, i])),
    problem_type: 'single_label_classification',
  };
}
