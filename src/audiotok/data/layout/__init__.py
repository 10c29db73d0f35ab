"""The layouts in which AudioSet is stored: `layout` has the interface, most other modules are one each."""
