"""Every scheduler behind diffusers's ordinary interface, whatever calling convention it had."""
