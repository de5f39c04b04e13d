import { EspalierError } from '../common/errors.js';
import type { Parameter } from './parameter.js';

/** A parameter, with or without the name under which an optimiser keeps its state. */
export type NamedParameter = Parameter | readonly [name: string, parameter: Parameter];

/** Parameters that share numbers of their own; what a group does not say, the optimiser's options do. */
export type ParameterGroup<Options> = { parameters: Iterable<NamedParameter> } & Partial<Options>;

/** What an optimiser changes: parameters, groups of them, or both. */
export type OptimizerParameters<Options> = Iterable<NamedParameter | ParameterGroup<Options>>;

/** A group as an optimiser holds it. */
export interface ResolvedGroup<Options> {
  /** Every parameter under its name; one without a name has its position, such as `0`. */
  parameters: ReadonlyMap<string, Parameter>;
  /** What the group says itself; the rest is the optimiser's. */
  own: Partial<Options>;
}

/**
 * Sorts what an optimiser was given into groups: parameters that are in none form the first.
 *
 * @param op the optimiser's name, for messages
 * @throws EspalierError `CONFIG` when there is no parameter, or one name or parameter comes twice
 */
export function resolveGroups<Options>(
  op: string,
  given: OptimizerParameters<Options>,
): ResolvedGroup<Options>[] {
  const names = new Set<string>();
  const seen = new Set<Parameter>();
  const add = (item: NamedParameter, into: Map<string, Parameter>) => {
    const [name, parameter] = isNamed(item) ? item : [String(seen.size), item];
    if (names.has(name) || seen.has(parameter)) {
      throw new EspalierError('CONFIG', `${op}: the parameter ${name} comes twice`, { op });
    }
    names.add(name);
    seen.add(parameter);
    into.set(name, parameter);
  };
  const rest = new Map<string, Parameter>();
  const groups: ResolvedGroup<Options>[] = [];
  for (const item of given) {
    if (!isGroup(item)) {
      add(item, rest);
      continue;
    }
    const { parameters, ...own } = item;
    const members = new Map<string, Parameter>();
    for (const member of parameters) add(member, members);
    groups.push({ parameters: members, own: own as unknown as Partial<Options> });
  }
  if (seen.size === 0) throw new EspalierError('CONFIG', `${op}: there is no parameter`, { op });
  if (rest.size > 0) groups.unshift({ parameters: rest, own: {} });
  return groups;
}

/**
 * The learning rate of a group: the optimiser's, or one of its own, which keeps its ratio to the
 * optimiser's first rate. So a schedule that sets the optimiser's rate scales every group, as PyTorch's
 * `LambdaLR` does.
 *
 * @param own what the group says itself; with a first rate of 0 it stays as it is
 * @param lr the optimiser's rate now
 * @param first its rate when it was made
 */
export function groupLr(own: number | undefined, lr: number, first: number): number {
  if (own === undefined) return lr;
  return lr === first || first === 0 ? own : own * (lr / first);
}

function isNamed(item: NamedParameter): item is readonly [string, Parameter] {
  return Array.isArray(item);
}

function isGroup<Options>(
  item: NamedParameter | ParameterGroup<Options>,
): item is ParameterGroup<Options> {
  return 'parameters' in item;
}
