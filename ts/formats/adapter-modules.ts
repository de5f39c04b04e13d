import type { AdapterConfig } from './adapter-config.js';
import { matchNames } from './python-pattern.js';

/** Rank and scale of one module's adapter. */
export interface ModuleRank {
  rank: number;
  alpha: number;
  /** Factor of B·A: alpha / rank, or alpha / sqrt(rank) with rsLoRA. */
  scale: number;
}

/** PEFT's shorthand for every linear module but the head. */
const ALL_LINEAR = 'all-linear';

/**
 * The modules that an adapter configuration targets, by PEFT's rules (`check_target_module_exists`):
 * a list matches whole names or their ends behind a dot, text is a regular expression for the whole
 * name, `all-linear` takes every name given; excluded modules, those saved whole, and with a list the
 * layers outside `layersToTransform` drop out.
 * @param names paths of the linear modules, such as `model.layers.0.self_attn.q_proj`
 * @returns those targeted, in the given order
 * @throws EspalierError `UNSUPPORTED` or `FORMAT` for regular expressions as `matchNames`.
 */
export function targetedModules(config: AdapterConfig, names: readonly string[]): string[] {
  const excluded = matches(config.excludeModules ?? [], names);
  const saved = savedModules(config, names);
  const { targetModules: targets } = config;
  const everything =
    targets === null || (typeof targets === 'string' && targets.toLowerCase() === ALL_LINEAR);
  const targeted = everything ? names.map(() => true) : matches(targets, names);
  const layered = Array.isArray(targets) ? inLayers(config, targets, names) : names.map(() => true);
  return names.filter((_, i) => targeted[i] && layered[i] && !excluded[i] && !saved[i]);
}

/** Which of the names lie in a module that is trained and stored whole. */
export function savedModules(config: AdapterConfig, names: readonly string[]): boolean[] {
  const found = names.map(() => false);
  for (const module of config.modulesToSave ?? []) {
    const hits = matchNames(module, names, { before: '(^|.*\\.)', after: '($|\\..*)' });
    for (const [i, hit] of hits.entries()) if (hit) found[i] = true;
  }
  return found;
}

/**
 * Rank, alpha and scale of modules: of the patterns the first whose regular expression matches the
 * end of a name counts (`get_pattern_key`).
 * @throws EspalierError `UNSUPPORTED` or `FORMAT` for regular expressions as `matchNames`.
 */
export function moduleRanks(
  config: AdapterConfig,
  names: readonly string[],
): Map<string, ModuleRank> {
  const ranks = firstMatches(config.rankPattern, names);
  const alphas = firstMatches(config.alphaPattern, names);
  return new Map(
    names.map((name, i) => {
      const rank = ranks[i] ?? config.r;
      const alpha = alphas[i] ?? config.loraAlpha;
      return [name, { rank, alpha, scale: alpha / (config.useRslora ? Math.sqrt(rank) : rank) }];
    }),
  );
}

function firstMatches(
  patterns: Readonly<Record<string, number>>,
  names: readonly string[],
): (number | undefined)[] {
  const found: (number | undefined)[] = names.map(() => undefined);
  for (const [pattern, value] of Object.entries(patterns)) {
    const hits = matchNames(pattern, names, { before: '^(.*\\.)?' });
    for (const [i, hit] of hits.entries()) if (hit) found[i] ??= value;
  }
  return found;
}

function matches(target: readonly string[] | string, names: readonly string[]): boolean[] {
  if (typeof target === 'string') {
    return target === '' ? names.map(() => false) : matchNames(target, names);
  }
  const ends = new Set(target);
  return names.map((name) => {
    for (let i = -1; ; ) {
      if (ends.has(name.slice(i + 1))) return true;
      i = name.indexOf('.', i + 1);
      if (i < 0) return false;
    }
  });
}

/** A module that a list names in full is not asked for its layer. */
function inLayers(
  config: AdapterConfig,
  targets: readonly string[],
  names: readonly string[],
): boolean[] {
  const { layersToTransform: chosen, layersPattern } = config;
  if (chosen === null || (Array.isArray(chosen) && chosen.length === 0)) {
    return names.map(() => true);
  }
  const layers = new Set(Array.isArray(chosen) ? chosen : [chosen]);
  const lists = typeof layersPattern === 'string' ? [layersPattern] : (layersPattern ?? []);
  const inFull = new Set(targets);
  return names.map((name) => {
    if (inFull.has(name)) return true;
    const index = layerIndex(name, lists);
    return index !== undefined && layers.has(index);
  });
}

/** The first number in a name that follows the name of a list (any list when none is given). */
function layerIndex(name: string, lists: readonly string[]): number | undefined {
  const parts = name.split('.');
  for (const list of lists.length === 0 ? [undefined] : lists) {
    // A number at the end, or one that nothing precedes, is no layer.
    for (let i = 1; i < parts.length - 1; i++) {
      if (!/^\d+$/.test(parts[i] as string)) continue;
      const before = `.${parts.slice(0, i).join('.')}`;
      if (list === undefined ? i >= 2 : before.endsWith(`.${list}`)) return Number(parts[i]);
    }
  }
  return undefined;
}
