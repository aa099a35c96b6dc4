"""PatchInspector: what each patch is made of."""
