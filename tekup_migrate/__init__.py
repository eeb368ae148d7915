"""The engine of tekup-migrate: consolidates several Supabase projects into one, without a terminal.

Everything here is usable from a script. The full-screen wizard lives in ``screens`` and imports this
package; never the other way round.
"""

__version__ = "0.1.0"
