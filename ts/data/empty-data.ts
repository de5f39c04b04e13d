import { EspalierError } from '../common/errors.js';

/** The error for files that hold no sample, naming them; `CONFIG`. */
export function emptyData(files: readonly string[], skippedRows = 0): EspalierError {
  const named = files.slice(0, 3).join(', ') + (files.length > 3 ? ', …' : '');
  const left = skippedRows === 0 ? '' : `; ${skippedRows} rows could not be used`;
  return new EspalierError('CONFIG', `there is nothing to learn from in ${named}${left}`, {
    remedy: 'check the files: they are empty, or hold a header only',
    details: { files },
  });
}
