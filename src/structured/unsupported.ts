/**
 * A schema that this module cannot enforce. The caller must report it; it must not generate without
 * the constraint.
 */
export class UnsupportedSchemaError extends Error {
  /** JSON pointer of the keyword or subschema, e.g. `/properties/age/multipleOf`; '' is the schema itself. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`${path === '' ? 'the schema' : path}: ${reason}`)
    this.name = 'UnsupportedSchemaError'
    this.path = path
  }
}

/** A regular expression, a list of choices or a grammar that cannot be enforced. */
export class UnsupportedTextError extends Error {
  override name = 'UnsupportedTextError'
}
