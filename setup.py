"""Packaging of tqdit; every value comes from settings.ini."""
from configparser import ConfigParser
from pathlib import Path
from setuptools import setup, find_packages

here = Path(__file__).parent
parser = ConfigParser(delimiters=['='])
parser.read(here/'settings.ini', encoding='utf-8')
cfg = parser['DEFAULT']
pythons = ['3.10', '3.11', '3.12', '3.13']

extras = {k: cfg[f'{k}_requirements'].split() for k in ('dev', 'bench')}
readme = here/'README.md'
commands = [line for line in cfg['console_scripts'].split('\n') if line.strip()]

setup(
    name=cfg['lib_name'],
    version=cfg['version'],
    description=cfg['description'],
    keywords=cfg['keywords'],
    author=cfg['author'],
    author_email=cfg['author_email'],
    url=cfg['git_url'],
    license='Apache-2.0',
    long_description=readme.read_text(encoding='utf-8') if readme.exists() else '',
    long_description_content_type='text/markdown',
    classifiers=['Development Status :: 3 - Alpha', 'Intended Audience :: Developers',
                 'Intended Audience :: Science/Research', 'Natural Language :: English',
                 *(f'Programming Language :: Python :: {p}' for p in pythons)],
    packages=find_packages(include=['tqdit', 'tqdit.*']),
    include_package_data=True,
    package_data={'tqdit': ['weights/*.safetensors', 'weights/*.json']},
    install_requires=cfg['requirements'].split(),
    extras_require=extras,
    python_requires='>=' + cfg['min_python'],
    entry_points={'console_scripts': commands, 'nbdev': [f'{cfg["lib_path"]}={cfg["lib_path"]}._modidx:d']},
    zip_safe=False)
