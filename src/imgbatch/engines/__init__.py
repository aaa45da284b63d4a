"""Where a batch runs: `local`, in processes of this machine, or `rabbitmq`, on other machines."""
