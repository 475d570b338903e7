/** A schema that this module won't enforce. Nothing runs unconstrained in silence: the caller answers with an error instead. */
export class UnsupportedSchemaError extends Error {
  /** JSON pointer of the keyword or subschema, e.g. `/properties/age/multipleOf`; '' is the schema itself. */
  readonly path: string

  constructor(path: string, reason: string) {
    super(`${path === '' ? 'the schema' : path}: ${reason}`)
    this.name = 'UnsupportedSchemaError'
    this.path = path
  }
}
