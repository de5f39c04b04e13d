import { extname } from 'node:path';
import { EspalierError } from '../common/errors.js';
import { parseCsvRecord } from './csv-record.js';
import type { RawRecord, RecordKind } from './record-scanner.js';
import type { BadRow, RowParser } from './row-file.js';

/** A text, or a pair of texts, and its class as it is called in the data. */
export interface LabelledRow {
  texts: readonly [string] | readonly [string, string];
  label: string;
}

/** Which columns of a table are what. */
export interface ColumnChoice {
  /** One column with the text, or two with the parts of a pair; default: found by their names. */
  textColumns?: readonly string[];
  /** The column with the class; default: found by its name. */
  labelColumn?: string;
}

const LABEL_NAMES = ['label', 'labels', 'class', 'category', 'sentiment', 'target'];

/** What published data sets call their texts; those of a pair together. */
const TEXT_NAMES = [
  ['sentence1', 'sentence2'],
  ['premise', 'hypothesis'],
  ['question1', 'question2'],
  ['question', 'sentence'],
  ['text', 'text_pair'],
  ['text'],
  ['sentence'],
  ['content'],
  ['review'],
];

/**
 * How the rows of a labelled file are read: `.csv` (RFC 4180, with a header), `.tsv` (a header, no
 * quoting, as its registered type has none) or `.jsonl`.
 * @throws EspalierError `CONFIG` for another kind of file; from the parser, for columns that are not
 * there or can't be told by their names.
 */
export function labelledRowParser(
  path: string,
  choice: ColumnChoice,
): { kind: RecordKind; parse: RowParser<LabelledRow> } {
  const extension = extname(path).toLowerCase();
  if (extension === '.jsonl' || extension === '.ndjson') {
    let columns: Columns | undefined;
    return {
      kind: 'lines',
      parse(text) {
        const row = parseObject(text);
        if (row === undefined || 'why' in row) return row;
        columns ??= chooseColumns(Object.keys(row.fields), choice, path);
        return makeRow(columns, (name) => row.fields[name]);
      },
    };
  }
  if (extension !== '.csv' && extension !== '.tsv') {
    throw new EspalierError('CONFIG', `${path} is neither .csv, .tsv nor .jsonl`, {
      remedy: 'name the file after what is in it',
      details: { path },
    });
  }
  return extension === '.csv'
    ? { kind: 'csv', parse: tableParser((text) => parseCsvRecord(text), choice, path) }
    : { kind: 'lines', parse: tableParser((text) => text.split('\t'), choice, path) };
}

interface Columns {
  texts: readonly string[];
  label: string;
}

function tableParser(
  split: (text: string) => string[] | BadRow,
  choice: ColumnChoice,
  path: string,
): RowParser<LabelledRow> {
  let header: { offset: number; names: string[]; columns: Columns } | undefined;
  return (text: string, { offset }: RawRecord) => {
    const fields = split(text);
    if ('why' in fields) return fields;
    if (header === undefined) {
      const names = fields.map((name) => name.trim());
      header = { offset, names, columns: chooseColumns(names, choice, path) };
    }
    if (offset === header.offset) return undefined;
    const { names, columns } = header;
    if (fields.length !== names.length) {
      return { why: `expected ${names.length} fields, got ${fields.length}` };
    }
    return makeRow(columns, (name) => fields[names.indexOf(name)]);
  };
}

function parseObject(
  text: string,
): { fields: Readonly<Record<string, unknown>> } | BadRow | undefined {
  if (text.trim() === '') return undefined;
  try {
    const fields: unknown = JSON.parse(text);
    if (typeof fields === 'object' && fields !== null && !Array.isArray(fields)) {
      return { fields: fields as Record<string, unknown> };
    }
    return { why: 'it is not a JSON object' };
  } catch (error) {
    return { why: `it is not valid JSON (${(error as Error).message.slice(0, 120)})` };
  }
}

function makeRow(columns: Columns, field: (name: string) => unknown): LabelledRow | BadRow {
  const texts = columns.texts.map(field);
  for (const [i, text] of texts.entries()) {
    if (typeof text !== 'string' || text.trim() === '') {
      return { why: `${columns.texts[i]} is not text, or empty` };
    }
  }
  const label = field(columns.label);
  const named = typeof label === 'string' ? label.trim() : label;
  if (named === '' || !['string', 'number', 'boolean'].includes(typeof named)) {
    return { why: `${columns.label} names no class` };
  }
  return { texts: texts as unknown as LabelledRow['texts'], label: String(named) };
}

function chooseColumns(
  names: readonly string[],
  { textColumns, labelColumn }: ColumnChoice,
  path: string,
): Columns {
  const refuse = (why: string, remedy: string): never => {
    throw new EspalierError('CONFIG', `${path} ${why}; its columns are ${names.join(', ')}`, {
      remedy,
      details: { path, columns: names },
    });
  };
  for (const name of [
    ...(textColumns ?? []),
    ...(labelColumn === undefined ? [] : [labelColumn]),
  ]) {
    if (!names.includes(name)) refuse(`has no column ${name}`, 'check the header');
  }
  const label = labelColumn ?? LABEL_NAMES.find((name) => names.includes(name));
  if (label === undefined) {
    return refuse('has no column with a label', 'name it with labelColumn (--label-column)');
  }
  if (textColumns !== undefined) {
    if (textColumns.length === 1 || textColumns.length === 2) return { texts: textColumns, label };
    return refuse(`can't have ${textColumns.length} text columns`, 'name one or two');
  }
  const known = TEXT_NAMES.find((group) => group.every((name) => names.includes(name)));
  const others = names.filter((name) => name !== label);
  const texts = known ?? (others.length === 1 ? others : undefined);
  if (texts === undefined) {
    return refuse(
      'has no column that is surely the text',
      'name it with textColumns (--text-columns)',
    );
  }
  return { texts, label };
}
