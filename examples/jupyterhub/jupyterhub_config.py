"""A JupyterHub whose users each reach Voltray under their own name: docs/jupyterhub.md.

The VOLTRAY_HUB_ variables say where the server is and where the hub's token lies. Who may log in, and where users'
servers run, is the hub's own business: add an authenticator and a spawner of your choice.
"""

from voltray.driver.jupyterhub import SparkRemote

c = get_config()  # noqa: F821 - JupyterHub's own

# A new token at each start of a user's server; it stands in that server's environment alone.
c.Spawner.pre_spawn_hook = SparkRemote.from_environment()
c.Spawner.default_url = "/lab"
